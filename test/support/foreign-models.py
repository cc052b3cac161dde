"""Writes models with the exporters of the recipes in docs/your-own-model.md: NAME.onnx and NAME.json with windows and values.

The values are those of the library that trained the model, so that the whole export is checked.
"""

import json
import sys

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import IsolationForest, RandomForestClassifier, RandomForestRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import OneClassSVM

folder = sys.argv[1]
random = np.random.default_rng(7)
rows = random.normal([2.0, 12.0, 40.0], [0.1, 1.0, 5.0], size=(400, 3)).astype(np.float32)
fault = (rows[:, 1] > 13).astype(int)
test = np.vstack([rows[:4], [[2.5, 18.0, 90.0]]]).astype(np.float32)


def save(name, model, windows, values, raw=None, **manifest):
    """`raw` is the output of the graph for the first window, if it is not the score."""
    with open(f'{folder}/{name}.onnx', 'wb') as file:
        file.write(model.SerializeToString())
    values = np.ravel(values)
    golden = np.ravel(values[:1] if raw is None else raw)
    content = {'windows': np.asarray(windows).tolist(), 'values': values.tolist(), 'outputs': golden.tolist(),
               'manifest': manifest}
    with open(f'{folder}/{name}.json', 'w') as file:
        json.dump(content, file)


opsets = {'': 15, 'ai.onnx.ml': 3}
forest = IsolationForest(random_state=0).fit(rows)
save('isolation-forest', to_onnx(forest, rows[:1], target_opset=opsets), test, forest.decision_function(test),
     output={'name': 'scores'}, abnormal='below', threshold=0)

svm = make_pipeline(StandardScaler(), OneClassSVM(nu=0.05)).fit(rows)
save('one-class-svm', to_onnx(svm, rows[:1], target_opset=opsets), test, svm.decision_function(test),
     output={'name': 'scores'}, abnormal='below', threshold=0)

trees = make_pipeline(StandardScaler(), RandomForestClassifier(20, random_state=0)).fit(rows, fault)
save('random-forest', to_onnx(trees, rows[:1], target_opset=opsets, options={'zipmap': False}), test,
     trees.predict_proba(test)[:, 1], trees.predict_proba(test[:1]), output={'name': 'probabilities', 'column': 1}, threshold=0.5)
save('zipmap', to_onnx(trees, rows[:1], target_opset=opsets), test, [], output={'name': 'output_probability'})

quality = RandomForestRegressor(20, random_state=0).fit(rows, rows[:, 2])
save('regressor', to_onnx(quality, rows[:1], target_opset=opsets), test, quality.predict(test),
     output={'name': 'variable'})

autoencoder = MLPRegressor(hidden_layer_sizes=(4,), max_iter=200, random_state=0).fit(rows, rows)
save('autoencoder', to_onnx(autoencoder, rows[:1], target_opset=opsets), test,
     ((autoencoder.predict(test) - test) ** 2).mean(axis=1), autoencoder.predict(test[:1]), output={'name': 'variable', 'reduce': 'mse'})

windows = np.stack([rows[i:i + 4].ravel() for i in range(0, 300)])
flat = make_pipeline(StandardScaler(), IsolationForest(random_state=0)).fit(windows)
save('flat', to_onnx(flat, windows[:1], target_opset=opsets), windows[:3], flat.decision_function(windows[:3]),
     output={'name': 'scores'}, abnormal='below', window={'steps': 4, 'flat': True})

columns = ColumnTransformer([('grade', OneHotEncoder(), [0]), ('speed', StandardScaler(), [1])])
grades = np.array([['a', 1.0], ['b', 2.0], ['a', 3.0], ['b', 5.0]], dtype=object)
pipe = make_pipeline(columns, RandomForestRegressor(5, random_state=0)).fit(grades, [1, 2, 3, 4])
types = [('grade', StringTensorType([None, 1])), ('speed', FloatTensorType([None, 1]))]
save('columns', to_onnx(pipe, initial_types=types, target_opset=opsets), test, [], output={'name': 'variable'})

if 'lightgbm' in sys.argv:
    import lightgbm
    from onnxmltools import convert_lightgbm
    from onnxmltools.convert.common.data_types import FloatTensorType as Float
    light = lightgbm.LGBMClassifier(n_estimators=20, verbose=-1, random_state=0).fit(rows, fault)
    types = [('X', Float([None, 3]))]
    save('lightgbm', convert_lightgbm(light, initial_types=types, zipmap=False), test, light.predict_proba(test)[:, 1],
         light.predict_proba(test[:1]),
         output={'name': 'probabilities', 'column': 1}, threshold=0.5)
    save('lightgbm-zipmap', convert_lightgbm(light, initial_types=types), test, [], output={'name': 'probabilities'})

if 'xgboost' in sys.argv:
    import xgboost
    from onnxmltools import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType as Float
    boosted = xgboost.XGBClassifier(n_estimators=20, random_state=0).fit(rows, fault)
    save('xgboost', convert_xgboost(boosted, initial_types=[('X', Float([None, 3]))]), test,
         boosted.predict_proba(test)[:, 1], boosted.predict_proba(test[:1]), output={'name': 'probabilities', 'column': 1}, threshold=0.5)

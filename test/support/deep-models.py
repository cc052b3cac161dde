"""Writes models with the exporters of PyTorch or Keras, as docs/your-own-model.md describes it: NAME.onnx and NAME.json.

Arguments: folder, and torch or keras. The values are those of the library, so that the whole export is checked.
"""

import json
import sys

import numpy as np
import onnx

folder, library = sys.argv[1:]
STEPS, TAGS = 12, 3
random = np.random.default_rng(7)
windows = random.normal([2.0, 12.0, 40.0], [0.1, 1.0, 5.0], size=(64, STEPS, TAGS)).astype(np.float32)
test = windows[:5]


def save(name, values, outputs, output, **manifest):
    """`outputs` is the output of the graph for the first window. Names are those that the exporter gave."""
    graph = onnx.load(f'{folder}/{name}.onnx', load_external_data=False).graph
    content = {
        'windows': test.reshape(len(test), -1).tolist(), 'values': np.ravel(values).tolist(), 'outputs': np.ravel(outputs).tolist(),
        'names': [graph.input[0].name, graph.output[0].name],
        'manifest': {'input': graph.input[0].name, 'output': {'name': graph.output[0].name, **output}, 'window': {'steps': STEPS}, **manifest},
    }
    with open(f'{folder}/{name}.json', 'w') as file:
        json.dump(content, file)


def mse(reconstruction):
    return ((reconstruction - test) ** 2).mean(axis=(1, 2))


def pytorch():
    import torch
    torch.manual_seed(7)

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.Sequential(torch.nn.Conv1d(TAGS, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.LazyLinear(1))

        def forward(self, window):
            return self.layers(window.transpose(1, 2))

    class Autoencoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(STEPS * TAGS, 6), torch.nn.Tanh(), torch.nn.Linear(6, STEPS * TAGS))

        def forward(self, window):
            return self.layers(window).reshape(-1, STEPS, TAGS)

    def export(model, name, **options):
        torch.onnx.export(
            model.eval(), (torch.zeros(2, STEPS, TAGS),), f'{folder}/{name}.onnx', input_names=['window'], output_names=['score'],
            dynamic_shapes=({0: torch.export.Dim('batch')},), **options)
        with torch.no_grad():
            return model(torch.from_numpy(test)).numpy()

    network = Network()
    network(torch.zeros(1, STEPS, TAGS))
    found = export(network, 'torch', external_data=False)
    save('torch', found, found[:1], {})
    reconstruction = export(Autoencoder(), 'torch-autoencoder', external_data=False)
    save('torch-autoencoder', mse(reconstruction), reconstruction[:1], {'reduce': 'mse'})
    # The default: weights in a file of their own. The remedy of the message joins the two.
    found = export(network, 'torch-external')
    save('torch-external', found, found[:1], {})
    onnx.save(onnx.load(f'{folder}/torch-external.onnx'), f'{folder}/torch-joined.onnx')
    save('torch-joined', found, found[:1], {})
    # Without dynamic_shapes the batch is that of the sample.
    torch.onnx.export(network.eval(), (torch.zeros(1, STEPS, TAGS),), f'{folder}/torch-fixed.onnx', input_names=['window'],
                      output_names=['score'], external_data=False)
    save('torch-fixed', found, found[:1], {})


def keras_models():
    import keras
    keras.utils.set_random_seed(7)
    layers = keras.layers
    classifier = keras.Sequential([keras.Input((STEPS, TAGS)), layers.LSTM(4), layers.Dense(1, activation='sigmoid')])
    autoencoder = keras.Sequential([
        keras.Input((STEPS, TAGS)), layers.Flatten(), layers.Dense(6, activation='tanh'), layers.Dense(STEPS * TAGS),
        layers.Reshape((STEPS, TAGS))])
    for model, target, name, output in [
            (classifier, windows[:, -1, 1] > 12, 'keras', {}), (autoencoder, windows, 'keras-autoencoder', {'reduce': 'mse'})]:
        model.compile('adam', 'mse')
        model.fit(windows, target, epochs=1, verbose=0)
        model.export(f'{folder}/{name}.onnx', format='onnx', verbose=False)
        found = model.predict(test, verbose=0)
        save(name, found if output == {} else mse(found), found[:1], output)


pytorch() if library == 'torch' else keras_models()

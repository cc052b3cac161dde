"""Talks gRPC to the server whose host:port and admin token are given, as a user of tritonclient would; prints 'ok'."""

import queue
import sys

import numpy as np
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

address, admin_token = sys.argv[1:3]
client = grpc.InferenceServerClient(address)
admin = {"authorization": f"Bearer {admin_token}"}

arrays = [
    np.array([[True, False]]),
    np.array([[0, 255]], np.uint8),
    np.array([[0, 65535]], np.uint16),
    np.array([[0, 2**32 - 1]], np.uint32),
    np.array([[0, 2**64 - 1]], np.uint64),
    np.array([[-128, 127]], np.int8),
    np.array([[-32768, 32767]], np.int16),
    np.array([[-(2**31), 2**31 - 1]], np.int32),
    np.array([[-(2**63), 2**63 - 1]], np.int64),
    np.array([[0.5, np.inf]], np.float16),
    np.array([[1e-40, np.nan]], np.float32),
    np.array([[1e-320, -np.inf]], np.float64),
    np.array([["pump 1".encode(), "Ölpumpe €".encode()]], np.object_),
]

assert client.is_server_live()
assert client.is_server_ready()
metadata = client.get_server_metadata()
assert metadata.name == "andon" and "binary_tensor_data" in metadata.extensions, metadata
assert not client.is_model_ready("nobody")

for array in arrays:
    datatype = np_to_triton_dtype(array.dtype)
    model = f"echo-{datatype.lower()}"
    assert client.is_model_ready(model) and client.is_model_ready(model, "1")
    (given,) = client.get_model_metadata(model, as_json=True)["inputs"]
    assert given == {"name": "x", "datatype": datatype, "shape": ["-1", "2"]}, given
    assert list(client.get_model_config(model).config.input[0].dims) == [-1, 2]
    x = grpc.InferInput("x", list(array.shape), datatype)
    x.set_data_from_numpy(array)
    result = client.infer(
        model, [x], outputs=[grpc.InferRequestedOutput("x")], request_id="7", model_version="1", parameters={"line": 2}
    )
    response = result.get_response()
    assert (response.id, response.model_name, response.model_version) == ("7", model, "1"), response
    assert response.parameters["line"].int64_param == 2, response
    np.testing.assert_array_equal(result.as_numpy("x"), array, datatype)

many = np.arange(200_000, dtype=np.float32).reshape(-1, 2)
words = np.array([[f"pump {i}".encode(), b""] for i in range(20_000)], np.object_)
for array, datatype in ((many, "FP32"), (words, "BYTES")):
    for coding in (None, "gzip", "deflate"):
        x = grpc.InferInput("x", list(array.shape), datatype)
        x.set_data_from_numpy(array)
        result = client.infer(f"echo-{datatype.lower()}", [x], compression_algorithm=coding)
        np.testing.assert_array_equal(result.as_numpy("x"), array)

x = grpc.InferInput("x", [1, 2], "FP32")
x.set_data_from_numpy(np.array([[1, 2]], np.float32))
answers = queue.Queue()
for _ in range(20):
    client.async_infer("echo-fp32", [x], callback=lambda result, error: answers.put((result, error)))
for _ in range(20):
    result, error = answers.get(timeout=60)
    assert error is None, error
    np.testing.assert_array_equal(result.as_numpy("x"), [[1, 2]])

client.start_stream(callback=lambda result, error: answers.put((result, error)))
client.async_stream_infer("echo-fp32", [x], request_id="1")
client.async_stream_infer("nobody", [x], request_id="2")
client.async_stream_infer("echo-fp32", [x], request_id="3", enable_empty_final_response=True)
(first, _), (_, error), (last, _) = (answers.get(timeout=60) for _ in range(3))
client.stop_stream()
assert first.get_response().id == "1" and "nobody" in str(error)
assert last.get_response().id == "3" and last.get_response().parameters["triton_final_response"].bool_param


def refused(call, status, part):
    try:
        call()
    except InferenceServerException as error:
        assert error.status() == f"StatusCode.{status}" and part in error.message(), str(error)
    else:
        raise AssertionError(f"expected {status}")


wanted = grpc.InferRequestedOutput
refused(lambda: client.infer("nobody", [x]), "NOT_FOUND", "nobody")
refused(lambda: client.infer("echo-fp32", [x], model_version="9"), "NOT_FOUND", "version 9")
refused(lambda: client.infer("echo-fp32", [x], outputs=[wanted("y")]), "INVALID_ARGUMENT", "'y'")
refused(lambda: client.infer("echo-fp32", [x], outputs=[wanted("x", class_count=1)]), "UNIMPLEMENTED", "classification")
refused(lambda: client.infer("echo-fp32", [x], sequence_id=3), "UNIMPLEMENTED", "sequence_id")

statistics = client.get_inference_statistics("echo-fp32", "1").model_stats
assert statistics[0].inference_stats.success.count == 3, statistics
assert len(client.get_inference_statistics().model_stats) == len(arrays)

refused(lambda: client.get_model_repository_index(), "UNAUTHENTICATED", "role engineer")
refused(lambda: client.load_model("other", headers={"authorization": "Bearer wrong"}), "UNAUTHENTICATED", "unknown")
index = client.get_model_repository_index(headers=admin).models
assert (index[0].name, index[0].version, index[0].state, index[0].reason) == ("echo", "1", "READY", ""), index
client.load_model("other", headers=admin)
client.unload_model("other", headers=admin)
refused(lambda: client.load_model("other", headers=admin, config="{}"), "UNIMPLEMENTED", "not supported")
client.close()
print("ok")

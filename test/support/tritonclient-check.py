"""Talks to the server whose host:port and admin token are given, as a user of tritonclient would; prints 'ok'."""

import sys

import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

address, admin_token = sys.argv[1:3]
client = http.InferenceServerClient(address, concurrency=4)
admin = {"Authorization": f"Bearer {admin_token}"}

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
assert client.get_server_metadata()["name"] == "andon"
assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
assert not client.is_model_ready("nobody")

for array in arrays:
    datatype = np_to_triton_dtype(array.dtype)
    model = f"echo-{datatype.lower()}"
    assert client.is_model_ready(model) and client.is_model_ready(model, "1")
    metadata = client.get_model_metadata(model)
    assert metadata["inputs"] == [{"name": "x", "datatype": datatype, "shape": [-1, 2]}], metadata
    assert client.get_model_config(model)["input"][0]["dims"] == [-1, 2]
    for binary_in in (True, False):
        if datatype == "FP16" and not binary_in:
            continue  # The client itself has no JSON form for it.
        for binary_out in (True, False):
            given = http.InferInput("x", list(array.shape), datatype)
            given.set_data_from_numpy(array, binary_data=binary_in)
            wanted = http.InferRequestedOutput("x", binary_data=binary_out)
            result = client.infer(model, [given], outputs=[wanted], request_id="7", model_version="1")
            answer = result.get_response()
            assert (answer["id"], answer["model_name"], answer["model_version"]) == ("7", model, "1"), answer
            found = result.as_numpy("x")
            if datatype == "BYTES" and not binary_out:
                found = np.array([[text.encode() for text in row] for row in found], np.object_)
            np.testing.assert_array_equal(found, array, f"{datatype} {binary_in} {binary_out}")

many = np.arange(200_000, dtype=np.float32).reshape(-1, 2)
for coding in ("gzip", "deflate"):
    for binary in (True, False):
        given = http.InferInput("x", list(many.shape), "FP32")
        given.set_data_from_numpy(many, binary_data=binary)
        result = client.infer(
            "echo-fp32",
            [given],
            outputs=[http.InferRequestedOutput("x", binary_data=binary)],
            request_compression_algorithm=coding,
            response_compression_algorithm=coding,
        )
        np.testing.assert_array_equal(result.as_numpy("x"), many)

given = http.InferInput("x", [1, 2], "FP32")
given.set_data_from_numpy(np.array([[1, 2]], np.float32))
pending = [client.async_infer("echo-fp32", [given], parameters={"line": 2}) for _ in range(20)]
for request in pending:
    result = request.get_result()
    np.testing.assert_array_equal(result.as_numpy("x"), [[1, 2]])
    assert result.get_response()["parameters"] == {"line": 2}


def refused(call, status, part):
    try:
        call()
    except InferenceServerException as error:
        assert error.status() == status and part in error.message(), str(error)
    else:
        raise AssertionError(f"expected {status}")


refused(lambda: client.infer("nobody", [given]), "404", "nobody")
refused(lambda: client.infer("echo-fp32", [given], model_version="9"), "404", "version 9")
refused(lambda: client.infer("echo-fp32", [given], outputs=[http.InferRequestedOutput("y")]), "400", "'y'")
refused(lambda: client.infer("echo-fp32", [given], outputs=[http.InferRequestedOutput("x", class_count=1)]), "400", "classification")
refused(lambda: client.infer("echo-fp32", [given], sequence_id=3), "400", "sequence_id")

statistics = client.get_inference_statistics("echo-fp32", "1")["model_stats"]
assert statistics[0]["inference_stats"]["success"]["count"] == 3, statistics
assert len(client.get_inference_statistics()["model_stats"]) == len(arrays)

refused(lambda: client.get_model_repository_index(), "401", "role engineer")
index = client.get_model_repository_index(headers=admin)
assert index[0] == {"name": "echo", "version": "1", "state": "READY", "reason": ""}, index
client.load_model("other", headers=admin)
client.unload_model("other", headers=admin)
refused(lambda: client.load_model("other", headers=admin, config="{}"), "400", "not supported")
client.close()
print("ok")

import { expect, test } from 'vitest';
import { gpuWheels, WHEELS_ONNX_RUNTIME, wheelRequirements } from '../../src/gpu/gpu-wheels.ts';
import { parseWheelName } from '../../src/gpu/wheel.ts';
import { onnxRuntimeVersion } from '../../src/runtime/session/onnx-runtime-folder.ts';

test('the wheels are for the ONNX Runtime of this program: after an update of the library the list needs one too', () => {
  expect(WHEELS_ONNX_RUNTIME).toBe(onnxRuntimeVersion());
});

test('pip gets every wheel with its version and SHA-256', () => {
  const lines = wheelRequirements(gpuWheels)
    .split('\n')
    .filter((line) => !line.startsWith('#'));
  expect(lines).toHaveLength(gpuWheels.length);
  for (const line of lines) expect(line).toMatch(/^[a-z0-9-]+==[\d.]+ --hash=sha256:[0-9a-f]{64}$/);
});

test.each([
  ['wheels/nvidia_cudnn_cu13-9.28.1.4-py3-none-manylinux_2_27_x86_64.whl', 'nvidia-cudnn-cu13', '9.28.1.4'],
  ['onnxruntime_gpu-1.30.0-cp312-cp312-manylinux_2_28_x86_64.whl', 'onnxruntime-gpu', '1.30.0'],
])('a wheel is known by its file name: %s', (file, name, version) => {
  expect(parseWheelName(file)).toEqual({ name, version });
});

test('other files are not wheels', () => {
  expect(parseWheelName('numpy.tar.gz')).toBeUndefined();
  expect(parseWheelName('SHA256SUMS')).toBeUndefined();
});

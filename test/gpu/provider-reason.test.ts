import { expect, test } from 'vitest';
import { providerReason } from '../../src/runtime/session/provider-reason.ts';

test.each([
  [
    'a driver older than CUDA',
    '/onnxruntime_src/cuda_call.cc:154 Status CudaCall(ERRTYPE) CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; hostname=box',
    'CUDA error 35: CUDA driver version is insufficient for CUDA runtime version',
  ],
  [
    'a box without a device',
    'CudaCall CUDA failure 100: no CUDA-capable device is detected ; GPU=-1',
    'CUDA error 100: no CUDA-capable device is detected',
  ],
  ['no adapter', 'Failed to get a WebGPU adapter: x', 'no WebGPU adapter (no GPU, or no Vulkan driver for it)'],
  ['another error', '\n/src/a.cc:12 void f() x == y was false. The graph is odd\nmore', 'The graph is odd'],
])('a message of ONNX Runtime becomes a reason for an operator: %s', (_, message, reason) => {
  expect(providerReason(message)).toBe(reason);
});

import { expect, test } from 'vitest';
import { importedPackages } from '../support/imported-packages.ts';
import { hostEntry } from '../support/onnx-host-harness.ts';

test('the inference host, of which there may be several, loads no package that only the agent needs', () => {
  expect(importedPackages(hostEntry)).toEqual(['onnx-proto', 'onnxruntime-node']);
});

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { GpuWheel } from '../../src/gpu/gpu-wheels.ts';
import { installLibraries } from '../../src/gpu/install-libraries.ts';
import { writeWheel } from './wheel-files.ts';

let folder: string;
let wheels: readonly GpuWheel[];
const path = (...names: readonly string[]) => join(folder, ...names);
const cublasWheel = () => path('wheels', readdirSync(path('wheels')).find((name) => name.startsWith('nvidia')) ?? '');
const install = (sources: readonly string[]) =>
  installLibraries({
    sources,
    wheels,
    version: '1.30.0',
    target: path('lib'),
    runtimeFolder: path('runtime'),
    onProgress: () => undefined,
  });

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'andon-gpu-test-'));
  for (const name of ['wheels', 'runtime']) mkdirSync(path(name));
  wheels = [
    await writeWheel(path('wheels'), 'onnxruntime-gpu', {
      'onnxruntime/capi/libonnxruntime_providers_cuda.so': 'cuda',
      'onnxruntime/capi/libonnxruntime_providers_shared.so': 'shared',
      'onnxruntime/capi/libonnxruntime_providers_tensorrt.so': 'not needed',
      'onnxruntime/capi/onnxruntime_pybind11_state.so': 'not needed',
    }),
    await writeWheel(path('wheels'), 'nvidia-cublas', {
      'nvidia/cu13/lib/libcublas.so.13': 'cublas',
      'nvidia/cu13/include/cublas.h': 'not needed',
    }),
  ];
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

test('the libraries of all wheels are in one folder, and ONNX Runtime finds its providers next to its own library', async () => {
  expect(await install([path('wheels')])).toBe(path('lib/1.30.0'));
  expect(readdirSync(path('lib')).toSorted()).toEqual(['1.30.0']);
  expect(readdirSync(path('lib/1.30.0')).toSorted()).toEqual([
    'libcublas.so.13',
    'libonnxruntime_providers_cuda.so',
    'libonnxruntime_providers_shared.so',
  ]);
  expect(statSync(path('lib/1.30.0')).mode & 0o777).toBe(0o755);
  expect(readFileSync(path('runtime/libonnxruntime_providers_cuda.so'), 'utf8')).toBe('cuda');
  expect(readFileSync(path('runtime/libonnxruntime_providers_shared.so'), 'utf8')).toBe('shared');
});

test('after an upgrade of andon the libraries are linked again without the wheels', async () => {
  await install([path('wheels')]);
  rmSync(path('runtime'), { recursive: true });
  mkdirSync(path('runtime'));
  await install([]);
  expect(readFileSync(path('runtime/libonnxruntime_providers_cuda.so'), 'utf8')).toBe('cuda');
});

test('without wheels and without libraries the error names the command that lists them', async () => {
  await expect(install([])).rejects.toMatchObject({
    code: 'gpu-wheel-missing',
    message: expect.stringContaining('andon gpu wheels'),
  });
});

test('a missing wheel is named, and nothing is installed', async () => {
  rmSync(cublasWheel());
  await expect(install([path('wheels')])).rejects.toMatchObject({
    code: 'gpu-wheel-missing',
    message: expect.stringContaining('no wheel file of nvidia-cublas 1.2.3'),
  });
  await expect(install([path('elsewhere')])).rejects.toMatchObject({ code: 'gpu-wheel-missing' });
  expect(readdirSync(folder).toSorted()).toEqual(['runtime', 'wheels']);
});

test('a wheel with another SHA-256 is refused, and the installed libraries stay', async () => {
  await install([path('wheels')]);
  writeFileSync(cublasWheel(), 'damaged');
  await expect(install([path('wheels')])).rejects.toMatchObject({
    code: 'gpu-wheel-refused',
    message: expect.stringContaining(cublasWheel()),
  });
  expect(readFileSync(path('lib/1.30.0/libcublas.so.13'), 'utf8')).toBe('cublas');
});

test('a folder that cannot be written is an error with the reason', async () => {
  writeFileSync(path('lib'), 'a file');
  await expect(install([path('wheels')])).rejects.toMatchObject({ code: 'gpu-not-installed' });
});

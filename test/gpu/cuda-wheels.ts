import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkProviders } from '../../src/gpu/check-providers.ts';
import { gpuWheels, PIP_OPTIONS, WHEELS_ONNX_RUNTIME } from '../../src/gpu/gpu-wheels.ts';
import { installLibraries, linkedProviders } from '../../src/gpu/install-libraries.ts';
import { systemDeps } from '../../src/platform/deps.ts';
import { inferenceHostEntry } from '../../src/platform/entries.ts';
import { onnxRuntimeFolder } from '../../src/runtime/session/onnx-runtime-folder.ts';
import type { Figures } from '../faults/fault-cases.ts';

const models = join(import.meta.dirname, '../../models');

/**
 * Downloads the wheels as docs/gpu.md says, installs them, and follows the reason why CUDA is not used: no driver, then a
 * driver without a device. The second one shows that every library of CUDA and cuDNN was found and loaded.
 */
export async function cudaWheels(): Promise<Figures> {
  const folder = mkdtempSync(join(tmpdir(), 'andon-wheels-'));
  const runtimeFolder = onnxRuntimeFolder();
  try {
    const wheels = gpuWheels.map(({ name, version }) => `${name}==${version}`);
    // Options of the command that `andon gpu wheels` prints. `installLibraries` compares each SHA-256.
    const options = PIP_OPTIONS.split(' ').filter((option) => option !== '--require-hashes');
    execFileSync('python3', ['-m', 'pip', 'download', '-q', '-d', join(folder, 'wheels'), ...options, ...wheels], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    await installLibraries({
      sources: [join(folder, 'wheels')],
      wheels: gpuWheels,
      version: WHEELS_ONNX_RUNTIME,
      target: join(folder, 'lib'),
      runtimeFolder,
      onProgress: () => undefined,
    });
    const withoutDriver = await cudaReason();
    execFileSync('gcc', [
      '-shared',
      '-fPIC',
      '-Wl,-soname,libcuda.so.1',
      '-o',
      join(folder, 'libcuda.so.1'),
      join(import.meta.dirname, 'no-device-driver.c'),
    ]);
    process.env['LD_LIBRARY_PATH'] = folder;
    const withoutDevice = await cudaReason();
    // A box with a GPU has a driver, and CUDA works there.
    const isAsExpected =
      withoutDriver === 'used' ||
      (/no NVIDIA driver/.test(withoutDriver) && /no CUDA-capable device/.test(withoutDevice));
    if (!isAsExpected) throw new Error(`without a driver: ${withoutDriver}; without a device: ${withoutDevice}`);
    return { wheels: wheels.length, 'without a driver': withoutDriver, 'without a device': withoutDevice };
  } finally {
    for (const name of linkedProviders) rmSync(join(runtimeFolder, name), { force: true });
    rmSync(folder, { recursive: true, force: true });
  }
}

async function cudaReason(): Promise<string> {
  const { providers } = await checkProviders({
    models: [{ directory: models }],
    family: false,
    entry: inferenceHostEntry,
    deps: systemDeps(),
    onProgress: () => undefined,
  });
  return providers.find(({ provider }) => provider === 'cuda')?.reason ?? 'used';
}

import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExactModel } from '../../contracts/model-registry.ts';
import { modelsConfigSchema } from '../../models/store/models-config.ts';
import { SystemClock } from '../../platform/clock.ts';
import { packageIdentity, receivePackage } from '../../registry/package/model-package.ts';

/** Returns name and version of the model in an archive. @throws {OperatingError} 'model-package-invalid' (reject). */
export async function archiveIdentity(file: string): Promise<ExactModel> {
  const scratch = await mkdtemp(join(tmpdir(), 'andon-package-'));
  try {
    const folder = join(scratch, 'package');
    await mkdir(folder);
    const source = { kind: 'archive', bytes: createReadStream(file) } as const;
    const config = modelsConfigSchema.parse({});
    const { signal } = new AbortController();
    await receivePackage(
      { source, sha256: undefined, activate: false },
      { folder, scratch, config, clock: new SystemClock(), signal },
    );
    return await packageIdentity(folder);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

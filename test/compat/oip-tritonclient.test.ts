import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { datatypes, tensorTypeOf } from '../../src/protocols/open-inference/datatypes.ts';
import { echoModel, FakeModels } from '../serving/v2/fake-models.ts';
import { describeWith, pythonWith } from '../support/programs.ts';
import { V2Server } from '../support/v2-server.ts';

/** The checks of the client, by transport. */
const check = (transport: 'http' | 'grpc') =>
  join(import.meta.dirname, `../support/tritonclient-${transport === 'http' ? '' : 'grpc-'}check.py`);
const run = promisify(execFile);

for (const transport of ['http', 'grpc'] as const)
  describeWith(
    [pythonWith(`tritonclient.${transport}`, `tritonclient[${transport}]`)],
    `Triton's own client over ${transport}`,
    () => {
      test('finds everything it knows: every type in each form, compression, versions, errors, the repository', async () => {
        const models = new FakeModels(
          datatypes.map((datatype) =>
            echoModel(`echo-${datatype.toLowerCase()}`, [
              { name: 'x', type: tensorTypeOf(datatype) ?? 'bool', dims: [-1, 2] },
            ]),
          ),
        );
        const tokenFile = join(mkdtempSync(join(tmpdir(), 'andon-')), 'token');
        writeFileSync(tokenFile, 'sesame');
        const settings = { adminToken: { file: tokenFile }, grpc: '127.0.0.1:0' };
        await using server = await V2Server.start(models, settings);
        const address = transport === 'http' ? new URL(server.url).host : server.grpcAddress;
        const { stdout } = await run('python3', [check(transport), address, 'sesame']);
        expect(stdout).toBe('ok\n');
        expect(models.repositoryActs).toEqual(['load other', 'unload other']);
      });
    },
  );

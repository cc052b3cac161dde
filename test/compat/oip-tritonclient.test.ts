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

const check = join(import.meta.dirname, '../support/tritonclient-check.py');
const run = promisify(execFile);

describeWith([pythonWith('tritonclient.http', 'tritonclient[http]')], "Triton's own client", () => {
  test('finds everything it knows: every type in either form, compression, versions, errors, the repository', async () => {
    const models = new FakeModels(
      datatypes.map((datatype) =>
        echoModel(`echo-${datatype.toLowerCase()}`, [
          { name: 'x', type: tensorTypeOf(datatype) ?? 'bool', dims: [-1, 2] },
        ]),
      ),
    );
    const tokenFile = join(mkdtempSync(join(tmpdir(), 'andon-')), 'token');
    writeFileSync(tokenFile, 'sesame');
    await using server = await V2Server.start(models, { adminToken: { file: tokenFile } });
    const { stdout } = await run('python3', [check, new URL(server.url).host, 'sesame']);
    expect(stdout).toBe('ok\n');
    expect(models.repositoryActs).toEqual(['load other', 'unload other']);
  });
});

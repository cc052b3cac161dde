import { mkdir, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { stringify } from 'yaml';
import { commandFailure } from '../../app/command-errors.ts';
import { natsServerConfig, newFleetKeys } from '../../fleet/service/fleet-keys.ts';
import { writeOwnFile } from '../access/private-file.ts';
import { type Output, printResult } from '../output/output.ts';

type InitOptions = {
  readonly nats: string;
  readonly boxUrl?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly json?: boolean;
};

/** `andon fleet init FOLDER`. @throws {OperatingError} 'file-exists' (reject): the folder has files. */
export async function fleetInitCommand(folder: string, options: InitOptions, output: Output): Promise<number> {
  const path = resolve(folder);
  await mkdir(path, { recursive: true, mode: 0o700 });
  if ((await readdir(path)).length > 0)
    throw commandFailure(
      'file-exists',
      `${path} has files already. Give an empty folder: keys that are in use must stay`,
    );
  const { nats, boxUrl, tlsCert, tlsKey } = options;
  const tls =
    tlsCert === undefined || tlsKey === undefined ? undefined : { cert: resolve(tlsCert), key: resolve(tlsKey) };
  const keys = newFleetKeys();
  const config = {
    nats: { url: `${tls === undefined ? 'nats' : 'tls'}://${nats}` },
    ...(boxUrl === undefined ? {} : { boxUrl }),
    keys: 'fleet-keys.json',
    http: { listen: '127.0.0.1:8090' },
  };
  const files = {
    'fleet-keys.json': `${JSON.stringify(keys, undefined, 2)}\n`,
    'fleet.yaml': stringify(config),
    'nats-server.conf': await natsServerConfig(keys, { listen: nats, folder: path, tls }),
  };
  for (const [name, text] of Object.entries(files)) await writeOwnFile(join(path, name), text);
  const text = [
    `Keys, configuration of the fleet service and of its NATS server are in ${path}.`,
    'Keep a copy of fleet-keys.json in a safe place: who has it can enrol boxes and read everything.',
    `Next: nats-server -c ${join(path, 'nats-server.conf')}`,
    `      andon fleet serve -c ${join(path, 'fleet.yaml')}`,
    `      andon fleet enrol BOX -c ${join(path, 'fleet.yaml')}`,
  ].join('\n');
  printResult(output, options, { document: { folder: path, files: Object.keys(files) }, text });
  return 0;
}

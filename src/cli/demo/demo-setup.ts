import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseDocument } from 'yaml';
import { packageFile } from '../../platform/package-files.ts';

/** The demo's own configuration, on ports that are free and with its records in a folder of its own. */
export type DemoSetup = {
  readonly directory: string;
  readonly configFile: string;
  readonly logFile: string;
  readonly modbusPort: number;
  readonly mqttPort: number;
};

/**
 * Writes `config/demo.yaml`, adapted, into a new folder, so that every other command works on it while the demo runs:
 * `andon status`, `andon outbox stats -c <folder>/andon.yaml`.
 */
export async function prepareDemo(): Promise<DemoSetup> {
  const directory = await mkdtemp(join(tmpdir(), 'andon-demo-'));
  const [modbusPort, mqttPort, httpPort] = [await freePort(1502), await freePort(1884), await freePort(8080)];
  const document = parseDocument(await readFile(fileURLToPath(packageFile('config/demo.yaml')), 'utf8'));
  const mqttUrl = `mqtt://127.0.0.1:${mqttPort}`;
  document.setIn(['sources', 'plc-1', 'url'], `tcp://127.0.0.1:${modbusPort}`);
  document.setIn(['sources', 'cell', 'url'], mqttUrl);
  document.setIn(['publish', 'url'], mqttUrl);
  document.setIn(['uplinks', 'head-office', 'url'], mqttUrl);
  document.setIn(['models', 'directory'], fileURLToPath(packageFile('models')));
  document.setIn(['outbox', 'path'], join(directory, 'outbox.db'));
  document.setIn(['http', 'listen'], `127.0.0.1:${httpPort}`);
  const configFile = join(directory, 'andon.yaml');
  await writeFile(configFile, document.toString());
  return { directory, configFile, logFile: join(directory, 'andon.log'), modbusPort, mqttPort };
}

/** Returns the documented port, or a free one if that port is in use. */
async function freePort(preferred: number): Promise<number> {
  return (await tryPort(preferred)) ?? (await tryPort(0)) ?? preferred;
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined));
    });
  });
}

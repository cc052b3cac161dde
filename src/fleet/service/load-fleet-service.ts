import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ConfigError, errorMessage } from '../../platform/errors.ts';
import { PositionedDocument } from '../../platform/positioned-document.ts';
import { type FleetKeys, fleetKeysSchema } from './fleet-keys.ts';
import { type FleetServiceConfig, fleetServiceSchema } from './fleet-service-config.ts';

/** Reads the configuration of the fleet service. Its paths become absolute. @throws {ConfigError} with every problem. */
export async function loadFleetService(file: string): Promise<FleetServiceConfig> {
  const document = new PositionedDocument(await textOf(file));
  if (document.problems.length > 0) throw new ConfigError(document.problems.map((problem) => inFile(file, problem)));
  const parsed = fleetServiceSchema.safeParse(document.value ?? {});
  if (!parsed.success)
    throw new ConfigError(
      parsed.error.issues.map(({ path, message }) => {
        const keys = path.map((step) => (typeof step === 'symbol' ? String(step) : step));
        return inFile(file, { ...document.position(keys, 'key'), path: keys, message });
      }),
    );
  const absolute = (path: string) => resolve(dirname(resolve(file)), path);
  const { data: config } = parsed;
  const users = config.http.users === undefined ? {} : { users: absolute(config.http.users) };
  return { ...config, keys: absolute(config.keys), data: absolute(config.data), http: { ...config.http, ...users } };
}

/** Reads the file with the keys of a fleet. @throws {ConfigError} It cannot be read or is damaged. */
export async function readFleetKeys(file: string): Promise<FleetKeys> {
  const text = await textOf(file);
  try {
    return fleetKeysSchema.parse(JSON.parse(text));
  } catch (error) {
    throw fileError(file, `it has no keys of a fleet (andon fleet init writes them): ${errorMessage(error)}`);
  }
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw fileError(file, errorMessage(error));
  }
}

function fileError(file: string, message: string): ConfigError {
  return new ConfigError([{ file, line: 1, column: 1, path: '', message }]);
}

type Problem = {
  readonly line: number;
  readonly column: number;
  readonly path: readonly (string | number)[];
  readonly message: string;
};

function inFile(file: string, { line, column, path, message }: Problem) {
  return { file, line, column, path: path.join('.'), message };
}

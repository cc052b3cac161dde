import { dirname, join, resolve } from 'node:path';
import { PositionedDocument, valueAt } from '../../platform/positioned-document.ts';
import { readConfigText } from '../../config/files/config-text.ts';
import { outboxConfigSchema } from '../../outbox/file/outbox-config.ts';
import { ConfigError } from '../../platform/errors.ts';

const USERS_FILE = 'users.yaml';
const TLS_FOLDER = 'tls';

/** Settings that the commands for users and certificates need. */
export type AccessPaths = {
  readonly agentId: string;
  readonly outboxPath: string;
  /** File of `http.users`; `users.yaml` next to the configuration if it names none. */
  readonly usersFile: string;
  readonly hasUsersKey: boolean;
  readonly tlsFolder: string;
  readonly hasTlsKey: boolean;
};

/**
 * Reads the paths from a configuration that need not be valid yet: `andon check` refuses one without users, and these
 * commands create them.
 *
 * @throws {ConfigError} The file cannot be read or is not YAML.
 */
export async function accessPaths(file: string): Promise<AccessPaths> {
  const read = await readConfigText(file);
  if ('problem' in read) throw new ConfigError([{ file, line: 1, column: 1, path: '', message: read.problem }]);
  const document = new PositionedDocument(read.text);
  if (!document.readable) throw new ConfigError(document.problems.map((each) => ({ ...each, file, path: '' })));
  const directory = dirname(resolve(file));
  const textAt = (...keys: readonly string[]) => {
    const value = valueAt(document.value, keys);
    return typeof value === 'string' ? value : undefined;
  };
  const users = textAt('http', 'users');
  const outboxPath = textAt('outbox', 'path') ?? outboxConfigSchema.parse({}).path;
  return {
    agentId: textAt('agent', 'id') ?? 'andon',
    outboxPath: resolve(directory, outboxPath),
    usersFile: users === undefined ? join(directory, USERS_FILE) : resolve(directory, users),
    hasUsersKey: users !== undefined,
    tlsFolder: join(directory, TLS_FOLDER),
    hasTlsKey: valueAt(document.value, ['http', 'tls']) !== undefined,
  };
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

const checks = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
].join(',');

/**
 * Runs Schemathesis, which makes requests from an OpenAPI document, valid and invalid ones: each answer must have a status and a
 * body that the document describes, and none may be an error of the server.
 *
 * @param amount Options for the kinds and number of requests.
 * @param cwd Where it writes its cache.
 * @returns What it prints, with the problems that it found.
 */
export async function schemathesis(
  documentUrl: string,
  token: string,
  amount: readonly string[],
  cwd: string,
): Promise<string> {
  const login = ['--header', `Authorization: Bearer ${token}`];
  const fixed = ['--seed', '1', '--generation-database', 'none', '--no-shrink', '--warnings', 'off', '--no-color'];
  // A run of a model starts a process, which takes long on a busy machine.
  const patient = ['--continue-on-failure', '--request-timeout', '120'];
  const args = ['run', documentUrl, ...login, '--checks', checks, ...patient, ...fixed, ...amount];
  const child = spawn('schemathesis', args, { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  const [printed] = await Promise.all([text(child.stdout), once(child, 'close')]);
  return printed;
}

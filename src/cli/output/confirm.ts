import { createInterface } from 'node:readline/promises';
import { commandFailure } from '../../app/command-errors.ts';

/**
 * Asks a person at the terminal.
 *
 * @param isGiven True if the command line has the answer already (`--yes`).
 * @returns False if the answer is not yes.
 * @throws {OperatingError} 'not-confirmed' (reject) without a terminal.
 */
export async function confirm(question: string, isGiven: boolean): Promise<boolean> {
  if (isGiven) return true;
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw commandFailure('not-confirmed', `${question} Without a terminal, answer with --yes`);
  // The answer of the command goes to standard output, which may be a file.
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await lines.question(`${question} [y/N] `);
  lines.close();
  return /^y(es)?$/i.test(answer.trim());
}

import { Option } from 'commander';

export const configOption = new Option('-c, --config <file>', 'configuration file').default('/etc/andon/andon.yaml');
export const jsonOption = new Option('--json', 'one JSON document and nothing else on standard output');

/** Returns the action of a command. Its result becomes the exit code of the process. */
export function exits<Args extends readonly unknown[]>(run: (...args: Args) => number | Promise<number>) {
  return async (...args: Args): Promise<void> => {
    process.exitCode = await run(...args);
  };
}

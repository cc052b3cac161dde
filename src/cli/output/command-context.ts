import type { Option } from 'commander';
import type { Output } from './output.ts';

/** What a command module needs to add its commands to the program. */
export type CommandContext = {
  readonly output: Output;
  /** Takes the exit code of the command that ran. */
  readonly done: (exitCode: number) => void;
  readonly config: () => Option;
  readonly json: () => Option;
};

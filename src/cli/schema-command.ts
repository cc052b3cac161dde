import type { Command } from 'commander';
import { runs } from './output/command.ts';
import { configJsonSchema } from '../config/config-json-schema.ts';
import type { Output } from './output/output.ts';

/** Defines `andon schema`. */
export function defineSchema(command: Command): void {
  command.action(runs((_options: object, output: Output) => schemaCommand(output)));
}

/** `andon schema`: the configuration's JSON Schema, for editors that complete and check while one types. */
export function schemaCommand(output: Output): number {
  output.out(JSON.stringify(configJsonSchema(), undefined, 2));
  return 0;
}

import type { Command } from 'commander';
import { sandboxWarnings } from './unit-command.ts';
import { loadConfig, type LoadedConfig } from '../../config/config-file.ts';
import { agentTags } from '../../config/config-tags.ts';
import { ConfigError, formatConfigProblem } from '../../platform/errors.ts';
import { DEFAULT_CONFIG, EXIT_CONFIG, runs, withConfig } from '../output/command.ts';
import type { Output } from '../output/output.ts';

export type CheckOptions = {
  readonly json: boolean;
  /** True to count warnings as problems. */
  readonly strict: boolean;
  /** Used without an argument. */
  readonly config?: string;
  /** True to read each tag once. */
  readonly live?: boolean;
};

/** Defines `andon check`. */
export function defineCheck(command: Command): void {
  withConfig(command)
    .argument('[file]', 'configuration file')
    .option('--strict', 'exit 1 also for warnings, such as a model that cannot be used')
    .option('--live', 'also connect to each device and broker, and read each tag once')
    .action(runs(checkCommand));
}

/**
 * `andon check FILE`: reports every problem of a configuration, and warns of settings that are probably not intended.
 * @returns Exit code: 0 if it can run, otherwise 78. With `strict`, 1 if there are warnings.
 */
export async function checkCommand(
  argument: string | undefined,
  options: CheckOptions,
  output: Output,
): Promise<number> {
  const file = argument ?? options.config ?? DEFAULT_CONFIG;
  try {
    const read = await loadConfig(file, { checkModels: 'with-graphs' });
    const loaded = { ...read, warnings: [...read.warnings, ...(await sandboxWarnings(read))] };
    const isLive = options.live === true;
    if (options.json && !isLive)
      output.out(json({ ok: true, file, ...counts(loaded), problems: [], warnings: loaded.warnings }));
    else if (!options.json) {
      for (const warning of loaded.warnings) output.err(formatConfigProblem(warning, 'warning: '));
      output.out(summary(loaded));
    }
    if (isLive) return await (await import('./live-commands.ts')).liveCheck(loaded.config, file, options, output);
    return options.strict && loaded.warnings.length > 0 ? 1 : 0;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const { problems } = error;
    if (options.json) output.out(json({ ok: false, file, problems, warnings: [] }));
    else {
      for (const problem of problems) output.err(formatConfigProblem(problem));
      output.err(`config wrong: ${plural(problems.length, 'problem')} in ${file}`);
    }
    return EXIT_CONFIG;
  }
}

type Counts = Readonly<Record<'sources' | 'tags' | 'watches' | 'uplinks', number>>;

function counts({ config }: LoadedConfig): Counts {
  return {
    sources: Object.keys(config.sources).length,
    tags: agentTags(config).length,
    watches: Object.keys(config.watches).length,
    uplinks: Object.keys(config.uplinks).length,
  };
}

function summary(loaded: LoadedConfig): string {
  const { sources, tags, watches, uplinks } = counts(loaded);
  const parts = [
    plural(sources, 'source'),
    plural(tags, 'tag'),
    plural(watches, 'watch', 'watches'),
    plural(uplinks, 'uplink'),
  ];
  const warnings = loaded.warnings.length === 0 ? '' : `; ${plural(loaded.warnings.length, 'warning')}`;
  return `config ok: ${parts.join(', ')}${warnings}`;
}

/** `1 tag`, `2 tags`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

function json(document: unknown): string {
  return JSON.stringify(document, undefined, 2);
}

import { type Command, Option } from 'commander';
import { isPlainObject, valueAt } from '../../platform/positioned-document.ts';
import { loadConfig } from '../../config/config-file.ts';
import { tagFileText } from '../../config/config-tag-files.ts';
import { OperatingError } from '../../platform/errors.ts';
import { configOption, runs } from '../output/command.ts';
import type { Output } from '../output/output.ts';
import { writeTagFile } from '../output/written-file.ts';

const SEPARATORS = { comma: ',', semicolon: ';', tab: '\t' } as const;

type ExportOptions = {
  readonly config: string;
  readonly source?: string;
  readonly separator: keyof typeof SEPARATORS;
  readonly out?: string;
};

/** Defines `andon tags export`. */
export function defineTags(tags: Command): void {
  tags
    .command('export')
    .description("writes the tags of a source as a CSV file for 'tags: { file: … }'")
    .addOption(configOption)
    .option('--source <id>', 'source of the tags; not needed if there is only one')
    .addOption(new Option('--separator <name>', 'between cells').choices(Object.keys(SEPARATORS)).default('comma'))
    .option('--out <file>', 'write to a file instead of standard output')
    .action(runs(tagsExportCommand));
}

/** `andon tags export`. Importing the export changes nothing. */
async function tagsExportCommand(options: ExportOptions, output: Output): Promise<number> {
  const { data } = await loadConfig(options.config, { checkModels: false });
  const text = tagFileText(tagsOf(data, options.source), SEPARATORS[options.separator]);
  if (options.out === undefined) output.out(text);
  else await writeTagFile(options.out, text);
  return 0;
}

function tagsOf(data: unknown, source: string | undefined): Readonly<Record<string, unknown>> {
  const sources = valueAt(data, ['sources']);
  const ids = Object.keys(isPlainObject(sources) ? sources : {});
  const id = source ?? (ids.length === 1 ? ids[0] : undefined);
  if (id === undefined || !ids.includes(id)) {
    const problem = id === undefined ? 'Name the source with --source' : `There is no source '${id}'`;
    throw new OperatingError('source-unknown', 'reject', `${problem}; sources: ${ids.join(', ') || 'none'}`);
  }
  const tags = valueAt(data, ['sources', id, 'tags']);
  return isPlainObject(tags) ? tags : {};
}

import type { ConfigurationProblem, TagTable } from '../http/configuration-editor.ts';
import { checkConfigText } from '../config/config-file.ts';
import { PositionedDocument } from '../platform/positioned-document.ts';
import { protectedChanges } from './protected-keys.ts';

/** Protocol of the thread that checks configurations: a plant with 10,000 tags takes seconds of CPU. */
export type ConfigCheckProtocol = {
  readonly check: { readonly params: ConfigCheck; readonly result: readonly ConfigurationProblem[] };
  readonly readTags: { readonly params: { readonly text: string; readonly type: string }; readonly result: TagTable };
};

export type ConfigCheck = {
  readonly text: string;
  /** Path of the file, for messages and relative paths. */
  readonly file: string;
  /** Present text of the file. */
  readonly former: string;
};

/**
 * Checks a text that shall replace the file. A text with a protected change is not checked further, because the check reads the
 * files that the text names.
 */
export async function checkConfig({ text, file, former }: ConfigCheck): Promise<readonly ConfigurationProblem[]> {
  const next = new PositionedDocument(text);
  if (next.readable && text !== former) {
    const refused = protectedChanges(new PositionedDocument(former).value, next);
    if (refused.length > 0)
      return refused.map(({ path, message, line, column }) => ({
        file,
        line,
        column,
        path: path.join('.'),
        message,
        severity: 'refused',
      }));
  }
  const { problems, warnings } = await checkConfigText(text, file);
  return [
    ...problems.map((problem) => ({ ...problem, severity: 'error' as const })),
    ...warnings.map((warning) => ({ ...warning, severity: 'warning' as const })),
  ];
}

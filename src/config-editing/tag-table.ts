import { stringify } from 'yaml';
import { configJsonSchema, schemaAt } from '../config/config-json-schema.ts';
import { ConfigTagFiles } from '../config/config-tag-files.ts';
import type { TagTable } from '../http/configuration-editor.ts';
import { isPlainObject, PositionedDocument, valueAt } from '../platform/positioned-document.ts';

/**
 * Reads a table of tags as a tag file is read: cells from a spreadsheet, or what `andon tags export` writes. The values are not
 * checked.
 *
 * @param type Type of the source, whose keys the columns are.
 */
export async function readTagTable({
  text,
  type,
}: {
  readonly text: string;
  readonly type: string;
}): Promise<TagTable> {
  const document = new PositionedDocument(stringify({ sources: { table: { type, tags: { file: 'table' } } } }));
  const schema = configJsonSchema();
  const path = ['sources', 'table', 'tags'];
  if (schemaAt(schema, [...path, 'name'], document.value) === undefined)
    return { tags: [], problems: [{ line: 1, column: 1, message: `there is no type of source '${type}'` }] };
  const files = await ConfigTagFiles.read(document, '', async () => ({ text }));
  const tags = valueAt(files.value, path);
  return {
    tags: Object.entries(isPlainObject(tags) ? tags : {}).map(([name, fields]) => ({
      name,
      fields: isPlainObject(fields) ? fields : {},
    })),
    problems: files.problems.map(({ line, column, message }) => ({ line, column, message })),
  };
}

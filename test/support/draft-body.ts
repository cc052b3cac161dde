import { JsonWriter } from '../../src/domain/record/json-writer.ts';
import type { RecordBody, RecordDraft } from '../../src/domain/record/record.ts';
import { VerdictJson } from '../../src/domain/record/verdict-columns.ts';

/** Returns the JSON body that a receiver gets of a draft. */
export function draftJson({ body, columns }: Pick<RecordDraft, 'body' | 'columns'>): string {
  if (columns === undefined) return JSON.stringify(body);
  const json = new JsonWriter(1024);
  json.text('{');
  if (!new VerdictJson(columns.names).write(columns.bytes, json)) throw new Error('The columns do not fit their names');
  return new TextDecoder().decode(json.take());
}

export function draftBody(draft: Pick<RecordDraft, 'body' | 'columns'>): RecordBody {
  return JSON.parse(draftJson(draft)) as RecordBody;
}

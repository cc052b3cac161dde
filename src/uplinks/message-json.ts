import type { RecordBatch } from '../domain/record/record-batch.ts';
import type { UplinkFields } from './uplink-fields.ts';

/** Bytes of `columnsMessage` in addition to those of the batch. */
export const COLUMNS_MESSAGE_BYTES = '{"columns":,"records":}'.length;

/** Returns `{…head,"columns":[…],"records":[…]}`; without the columns for names. The JSON of the records is not parsed again. */
export function messageJson(head: string, { columns, json }: RecordBatch, values: UplinkFields['values']): Buffer {
  const lists = values === 'columns' ? `"columns":${columns},` : '';
  return Buffer.concat([Buffer.from(`{${head}${lists}"records":`), json, Buffer.from('}')]);
}

/** Returns the JSON array of the records, or with columns an object that has the lists of names too. Valid as long as the batch. */
export function batchPayload(batch: RecordBatch, values: UplinkFields['values']): Buffer {
  const { json } = batch;
  if (values === 'columns') return messageJson('', batch, 'columns');
  return Buffer.from(json.buffer, json.byteOffset, json.length);
}

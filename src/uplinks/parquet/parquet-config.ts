import { isAbsolute } from 'node:path';
import * as z from 'zod';
import { byteSize, configObject, duration } from '../../platform/config-fields.ts';
import { uplinkFields } from '../uplink-fields.ts';

const DAY_MS = 86_400_000;
const {
  values: _notOfColumns,
  order: _alwaysOldestFirst,
  batch: _isAFile,
  ...fields
} = uplinkFields({ recordsMax: 5000, bytesMax: '2MB', linger: '1m' });

export const parquetUplinkSchema = configObject({
  type: z.literal('parquet'),
  folder: z
    .string()
    .refine(isAbsolute, { error: 'expected an absolute path, such as /srv/andon/parquet' })
    .describe('Folder for the files, of this agent alone. It is created if missing'),
  every: duration('Time between two files of a kind, if there are new records', {
    minMs: 100,
    maxMs: DAY_MS,
  }).prefault('15m'),
  fileMax: configObject({
    records: z.int().min(1).max(20_000).default(5000).describe('Most records'),
    bytes: byteSize('Most bytes of the records as JSON. They are in memory together').prefault('1MB'),
  })
    .prefault({})
    .describe('Largest file. Further records go to the next one'),
  maxSize: byteSize('Largest size of the folder. The oldest days are removed to keep it').prefault('10GB'),
  maxAge: duration('Older days are removed. Default: no limit', { minMs: DAY_MS }).optional(),
  ...fields,
});

/** Parsed configuration of an uplink that writes Parquet files. */
export type ParquetUplinkConfig = z.infer<typeof parquetUplinkSchema>;

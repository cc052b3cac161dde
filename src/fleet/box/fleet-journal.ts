import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { writeDurably } from '../../platform/durable-file.ts';
import { errorCode, errorMessage } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log.ts';

const journalSchema = z.object({
  /** The last generation that this box has begun. */
  generation: z.int().min(0),
  state: z.enum(['applying', 'ok', 'failed']),
  reason: z.string(),
  code: z.string().optional(),
  /** Models that the generation activated, with the version that was active before; null if none was. */
  activated: z.record(z.string(), z.int().nullable()),
  /** SHA-256 of the configuration file after the generation; absent if it has no configuration. */
  configuration: z.string().optional(),
  /** SHA-256 of the archives that were installed, by `name@version`. */
  archives: z.record(z.string(), z.string()),
});
export type FleetRecord = Readonly<z.infer<typeof journalSchema>>;

const EMPTY: FleetRecord = { generation: 0, state: 'ok', reason: '', activated: {}, archives: {} };

/**
 * What became of the last generation, in `fleet.json` next to the outbox. With it a generation that failed is not tried again
 * after a restart.
 */
export class FleetJournal {
  readonly #path: string;
  readonly #log: Logger;
  #record: FleetRecord = EMPTY;

  constructor(outboxPath: string, log: Logger) {
    this.#path = join(dirname(outboxPath), 'fleet.json');
    this.#log = log;
  }

  get record(): FleetRecord {
    return this.#record;
  }

  /** Reads the file. One that is damaged counts as empty: the present generation is then carried out again. */
  async read(): Promise<void> {
    try {
      this.#record = journalSchema.parse(JSON.parse(await readFile(this.#path, 'utf8')));
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return;
      this.#log.warn({ path: this.#path }, `The record of the fleet starts again: ${errorMessage(error)}`);
    }
  }

  /** Changes fields of the record, on disk when this returns. @throws {Error} of the file system. */
  async write(change: Partial<FleetRecord>): Promise<void> {
    this.#record = { ...this.#record, ...change };
    await writeDurably(this.#path, JSON.stringify(this.#record));
  }
}

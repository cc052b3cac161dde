import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import type { RolloutJournal } from '../contracts/rollout-models.ts';
import { rolloutFailures } from '../domain/rollout/rollout-tally.ts';
import { writeDurably } from '../platform/durable-file.ts';
import { errorCode, errorMessage } from '../platform/errors.ts';
import type { Logger } from '../platform/log.ts';

const counts = z.array(z.number());
const figures = <Name extends string>(...names: Name[]) => z.record(z.enum(names), z.number());
const failures = z.record(z.enum(rolloutFailures), z.number());
const side = z.object({ score: z.number(), threshold: z.number(), verdict: z.enum(['normal', 'abnormal']) });

const tallySchema = z.object({
  sinceMs: z.number(),
  table: figures('bothNormal', 'bothAbnormal', 'onlyCandidate', 'onlyIncumbent'),
  scores: figures('candidate', 'incumbent', 'candidateSquares', 'incumbentSquares', 'products'),
  latencies: z.object({ candidate: counts, incumbent: counts }),
  failures: z.object({ candidate: failures, incumbent: failures }),
  bins: z.object({ candidate: counts, incumbent: counts, between: counts }),
  disagreements: z.array(z.object({ timestampMs: z.number(), candidate: side, incumbent: side })),
});

const journalSchema = z.record(z.string(), tallySchema);

/** Figures of rollouts in `trials.json` next to the outbox. An unreadable file is replaced: no verdict depends on it. */
export function rolloutJournal(outboxPath: string, log: Logger): RolloutJournal {
  const path = join(dirname(outboxPath), 'trials.json');
  let written = '';
  return {
    read: async () => {
      try {
        written = await readFile(path, 'utf8');
        return new Map(Object.entries(journalSchema.parse(JSON.parse(written))));
      } catch (error) {
        if (errorCode(error) !== 'ENOENT')
          log.warn({ path }, `Figures of rollouts restart from zero: ${errorMessage(error)}`);
        return new Map();
      }
    },
    write: async (tallies) => {
      const text = JSON.stringify(Object.fromEntries(tallies));
      if (text === written || (written === '' && tallies.size === 0)) return;
      try {
        await writeDurably(path, text);
        written = text;
      } catch (error) {
        log.warn({ path }, `Figures of rollouts are not kept: ${errorMessage(error)}`);
      }
    },
  };
}

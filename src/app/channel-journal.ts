import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { alarmPriorities } from '../domain/alarm/alarm.ts';
import type { ChannelJournal } from '../notify/notifier.ts';
import { writeDurably } from '../platform/durable-file.ts';
import { errorCode, errorMessage } from '../platform/errors.ts';
import type { Logger } from '../platform/log.ts';

const noticeSchema = z.object({
  alarm: z.string(),
  watch: z.string(),
  priority: z.enum(alarmPriorities),
  message: z.string(),
  kind: z.enum(['raised', 'returned']),
  sinceMs: z.number(),
  times: z.number(),
  isOver: z.boolean(),
  number: z.number(),
});

const stateSchema = z.object({
  startMs: z.number(),
  waiting: z.record(z.string(), noticeSchema),
  seen: z.record(z.string(), z.number()),
  sentMs: z.record(z.string(), z.number()),
  announced: z.array(z.string()),
});

/** State of a channel in `notify-<id>.json` next to the outbox. An unreadable file is replaced, as for a new channel. */
export function channelJournal(outboxPath: string, id: string, log: Logger): ChannelJournal {
  const path = join(dirname(outboxPath), `notify-${id}.json`);
  let written: string | undefined;
  return {
    read: async () => {
      try {
        const text = await readFile(path, 'utf8');
        const state = stateSchema.parse(JSON.parse(text));
        written = text;
        return state;
      } catch (error) {
        if (errorCode(error) !== 'ENOENT')
          log.warn({ path }, `A channel of notifications starts again: ${errorMessage(error)}`);
        return undefined;
      }
    },
    write: async (state) => {
      const text = JSON.stringify(state);
      if (text === written) return;
      await writeDurably(path, text);
      written = text;
    },
  };
}

import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { RecordStore } from '../contracts/record-store.ts';
import { channelOf } from '../domain/notify/notify-cursor.ts';
import { snakeJson } from '../domain/record/snake-json.ts';
import { errorJson } from '../web/http-errors.ts';
import { outboxJson } from './api-schemas.ts';

export type OutboxRoutesOptions = {
  readonly records: RecordStore;
  /** Path of the outbox, for the free space of its disk. */
  readonly outboxPath: string;
};

/** `GET /api/v1/outbox`: what waits for which uplink, and the room that is left. */
export function registerOutboxRoutes(instance: FastifyInstance, { records, outboxPath }: OutboxRoutesOptions): void {
  instance.withTypeProvider<ZodTypeProvider>().get(
    '/api/v1/outbox',
    {
      schema: {
        summary: 'Stored records, what waits for each uplink, and the disk',
        response: { 200: outboxJson, 503: errorJson },
      },
    },
    async () => {
      const [stats, { bavail, blocks, bsize }] = await Promise.all([records.stats(), statfs(dirname(outboxPath))]);
      const { uplinks: cursors, ...facts } = stats;
      const uplinks = cursors.filter(({ uplink }) => channelOf(uplink) === undefined);
      const notifications = cursors.flatMap(({ uplink, waiting, oldestWaitingMs }) => {
        const channel = channelOf(uplink);
        return channel === undefined ? [] : [{ channel, unread: waiting, oldestUnreadMs: oldestWaitingMs }];
      });
      return snakeJson({ ...facts, uplinks, notifications, diskFreeBytes: bavail * bsize, diskBytes: blocks * bsize });
    },
  );
}

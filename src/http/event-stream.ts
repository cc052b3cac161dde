import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { watchSummaryToJson } from '../contracts/watch-json.ts';
import type { LiveEvent, LiveEvents, TagReading } from '../contracts/live-events.ts';
import { alarmPayload } from '../domain/record/alarm-payload.ts';
import { verdictPayload } from '../domain/record/verdict-payload.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { apiMetrics } from './api-metrics.ts';

/** Most bytes that may wait for one client. A client that reads more slowly is disconnected and may reconnect. */
const WAITING_BYTES_MAX = 262_144;
const CLIENTS_MAX = 64;
/** A comment line this often: a client without any for a few seconds has lost the connection, and proxies keep it open. */
const KEEP_ALIVE_MS = 1_000;

/**
 * `GET /api/v1/events`: server-sent events `tags`, `verdict`, `alarm` and `watch`, each with the JSON that the MQTT topic of
 * the same name carries. Verdicts and alarms have their record's id as event id.
 */
export function registerEventStream(app: FastifyInstance, events: LiveEvents, deps: Deps): void {
  const metrics = deps.metrics.of(apiMetrics);
  let clients = 0;
  app.get('/api/v1/events', { schema: { hide: true } }, (request, reply) => {
    if (clients >= CLIENTS_MAX) {
      reply
        .code(503)
        .header('retry-after', '10')
        .send({ error: `${CLIENTS_MAX} clients are connected already` });
      return;
    }
    const stream = reply.hijack().raw;
    stream.writeHead(200, {
      ...(reply.getHeaders() as OutgoingHttpHeaders),
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    stream.write('retry: 2000\n\n');
    metrics.andon_http_event_clients.set((clients += 1));

    const send = (text: string): void => {
      if (stream.writableLength > WAITING_BYTES_MAX) {
        metrics.andon_http_event_clients_dropped_total.inc();
        stream.destroy();
      } else stream.write(text);
    };
    const unsubscribe = events.subscribe((event) => send(eventText(event)));
    let keepAlive: Timer;
    const beat = (): void => {
      // The user was removed, or the token expired.
      if (!request.isStillAdmitted()) return void stream.destroy();
      send(': still here\n\n');
      keepAlive = deps.clock.setTimer(beat, KEEP_ALIVE_MS, { background: true });
    };
    keepAlive = deps.clock.setTimer(beat, KEEP_ALIVE_MS, { background: true });
    request.raw.on('close', () => {
      unsubscribe();
      keepAlive.cancel();
      metrics.andon_http_event_clients.set((clients -= 1));
    });
  });
}

function eventText(event: LiveEvent): string {
  switch (event.type) {
    case 'verdict':
      return `event: verdict\nid: ${event.id}\ndata: ${JSON.stringify(verdictPayload(event.verdict, event.id))}\n\n`;
    case 'alarm': {
      const id = event.id === undefined ? '' : `id: ${event.id}\n`;
      return `event: alarm\n${id}data: ${JSON.stringify(alarmPayload(event.transition, event.id))}\n\n`;
    }
    case 'watch':
      return `event: watch\ndata: ${JSON.stringify(watchSummaryToJson(event.summary))}\n\n`;
    case 'tags':
      return `event: tags\ndata: ${JSON.stringify(event.tags.map(tagJson))}\n\n`;
  }
}

/** Returns the reading of a tag as JSON. */
export function tagJson(reading: TagReading) {
  const { tag, value, text, unit, timestampMs, quality, reason } = reading;
  const label = text === undefined ? {} : { text };
  return { tag, value: value ?? null, ...label, unit, timestamp_ms: Math.round(timestampMs), quality, reason };
}

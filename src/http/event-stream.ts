import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { watchSummaryToJson } from '../contracts/watch-json.ts';
import type { LiveEvent, LiveEvents, TagReading } from '../contracts/live-events.ts';
import { alarmPayload } from '../domain/record/alarm-payload.ts';
import { verdictPayload } from '../domain/record/verdict-payload.ts';
import type { Timer } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { apiMetrics } from './api-metrics.ts';
import { EventReplay } from './event-replay.ts';

/** Most bytes that may wait for one client. A client that reads more slowly is disconnected and may reconnect. */
const WAITING_BYTES_MAX = 262_144;
const CLIENTS_MAX = 64;
/** A comment line this often: a client without any for a few seconds has lost the connection, and proxies keep it open. */
const KEEP_ALIVE_MS = 1_000;

/**
 * `GET /api/v1/events`: server-sent events `tags`, `verdict`, `alarm` and `watch`, each with the JSON that the MQTT topic of
 * the same name carries. A client that sends `Last-Event-ID` receives the events that it missed, or else the event `gap`.
 */
export function registerEventStream(app: FastifyInstance, events: LiveEvents, deps: Deps): void {
  const metrics = deps.metrics.of(apiMetrics);
  const replay = new EventReplay(events, eventText, deps);
  app.addHook('onClose', () => replay.stop());
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
    metrics.andon_http_event_clients.set((clients += 1));

    let waitingBytesMax = WAITING_BYTES_MAX;
    const send = (text: string): void => {
      if (stream.writableLength > waitingBytesMax) {
        metrics.andon_http_event_clients_dropped_total.inc();
        stream.destroy();
      } else stream.write(text);
    };
    const unsubscribe = replay.subscribe(send);
    const start = startText(replay, request.headers['last-event-id']);
    waitingBytesMax += Buffer.byteLength(start);
    stream.write(start);
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

/** What a client receives first: the events that it missed, or a gap, or the id from which it can resume later. */
function startText(replay: EventReplay, lastId: string | string[] | undefined): string {
  const start = `retry: 2000\nid: ${replay.lastId}\n\n`;
  if (typeof lastId !== 'string' || lastId === '') return start;
  const missed = replay.after(lastId);
  if (missed.state === 'complete') return `retry: 2000\nid: ${lastId}\n\n${missed.texts.join('')}`;
  return `retry: 2000\nevent: gap\nid: ${replay.lastId}\ndata: ${JSON.stringify({ reason: missed.reason })}\n\n`;
}

function eventText(event: LiveEvent, id: string): string {
  return `event: ${event.type}\nid: ${id}\ndata: ${JSON.stringify(eventJson(event))}\n\n`;
}

function eventJson(event: LiveEvent): unknown {
  switch (event.type) {
    case 'verdict':
      return verdictPayload(event.verdict, event.id);
    case 'alarm':
      return alarmPayload(event.transition, event.id);
    case 'watch':
      return watchSummaryToJson(event.summary);
    case 'tags':
      return event.tags.map(tagJson);
  }
}

/** Returns the reading of a tag as JSON. */
export function tagJson(reading: TagReading) {
  const { tag, value, text, unit, timestampMs, quality, reason } = reading;
  const label = text === undefined ? {} : { text };
  return { tag, value: value ?? null, ...label, unit, timestamp_ms: Math.round(timestampMs), quality, reason };
}

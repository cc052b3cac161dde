import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { EventClient } from '../../support/event-client.ts';
import { asked, ended, GENERATE, STREAM, underWay } from '../../support/generate-endpoint.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { metricValue, testDeps } from '../../support/test-deps.ts';
import { V2Server } from '../../support/v2-server.ts';
import { countingDecoder, endlessDecoder } from './fake-decoder.ts';
import { FakeModels } from './fake-models.ts';

/*
 * Generations hold memory and a share of the host for as long as they last. Invariant: there are never more of them, nor
 * larger ones, than the configuration allows. A client that has left uses nothing; one that stays is not cut off.
 */

/** A step that waits until it is released. */
class Gate {
  waiting = 0;
  #opened = Promise.withResolvers<void>();

  readonly pass = async (): Promise<void> => {
    this.waiting += 1;
    await this.#opened.promise;
  };

  open(): void {
    this.#opened.resolve();
  }
}

describe('a generation has its place', () => {
  test('of a limited number; one more is refused with 503', async () => {
    const gate = new Gate();
    const models = new FakeModels([countingDecoder('gpt', { beforeStep: gate.pass })]);
    await using server = await V2Server.start(models, { generation: { maxConcurrent: 2 } });
    const first = [GENERATE, STREAM].map((path) => server.post(path, asked([1], { max_tokens: 1 })));
    await expect.poll(() => gate.waiting).toBe(2);
    const refused = await server.post(STREAM, asked([1]));
    expect([refused.status, refused.headers.get('retry-after'), await refused.json()]).toEqual([
      503,
      '1',
      { error: '2 generations are in progress already (serving.generation.maxConcurrent)' },
    ]);
    gate.open();
    for (const answer of await Promise.all(first)) expect((await answer.text()).length).toBeGreaterThan(0);
    expect(await underWay(server)).toBe(0);
    expect((await server.post(GENERATE, asked([1]))).status).toBe(200);
  });

  test('and memory for its caches, which is bounded for all together', async () => {
    const gate = new Gate();
    const models = new FakeModels([countingDecoder('gpt', { beforeStep: gate.pass, maxTokens: 10_000 })]);
    // Two caches of four bytes a token, and the scores of ten tokens for each of the prompt.
    await using server = await V2Server.start(models, { generation: { maxMemory: '2kB' } });
    const first = server.post(GENERATE, asked([1], { max_tokens: 199 }));
    await expect.poll(() => metricValue(server.deps, 'andon_http_generation_bytes')).toBe(200 * 8 + 40);
    const busy = await server.post(GENERATE, asked([1], { max_tokens: 60 }));
    expect([busy.status, ((await busy.json()) as { error: string }).error]).toEqual([
      503,
      expect.stringMatching(
        /^Generations in progress use 1\.6 kB of 2\.0 kB; 528 B more do not fit \(serving\.generation\.maxMemory\)$/,
      ),
    ]);
    const never = await server.post(GENERATE, asked([1], { max_tokens: 260 }));
    expect([never.status, ((await never.json()) as { error: string }).error]).toEqual([
      400,
      expect.stringContaining('more than serving.generation.maxMemory (2.0 kB)'),
    ]);
    gate.open();
    await first;
    expect(await metricValue(server.deps, 'andon_http_generation_bytes')).toBe(0);
  });

  test.each([GENERATE, STREAM])('%s: a client that leaves ends it, and no other step begins', async (path) => {
    const gate = new Gate();
    const decoder = countingDecoder('gpt', { beforeStep: gate.pass, maxTokens: 1000 });
    await using server = await V2Server.start(new FakeModels([decoder]));
    const socket = connectTo(server);
    // The second is sent before the first is answered, and so has no connection to itself.
    socket.write(rawRequest(path, 900).repeat(2));
    await expect.poll(() => gate.waiting).toBe(2);
    socket.destroy();
    await once(socket, 'close');
    await new Promise((resolve) => setTimeout(resolve, 20));
    gate.open();
    await expect.poll(() => underWay(server)).toBe(0);
    expect(decoder.texts).toHaveLength(2);
    expect(await ended(server, 'cancelled')).toBe(2);
  });

  test('a client that closes its side of the connection has left, as on every path', async () => {
    const gate = new Gate();
    const decoder = countingDecoder('gpt', { beforeStep: gate.pass });
    await using server = await V2Server.start(new FakeModels([decoder]));
    const socket = connectTo(server);
    socket.write(rawRequest(STREAM, 3));
    await expect.poll(() => gate.waiting).toBe(1);
    // The server closes its side too once it has seen this end.
    socket.end();
    const received = await text(socket);
    gate.open();
    expect(received).toBe('');
    await expect.poll(() => ended(server, 'cancelled')).toBe(1);
    expect(decoder.texts).toHaveLength(1);
  });

  test('a client that leaves in the middle of its stream ends it within a few steps', async () => {
    const beforeStep = () => new Promise<void>((resolve) => setTimeout(resolve, 1));
    const decoder = countingDecoder('gpt', { beforeStep, maxTokens: 100_000 });
    await using server = await V2Server.start(new FakeModels([decoder]), { generation: { maxTokens: 90_000 } });
    const client = await EventClient.post(server.url + STREAM, asked([1], { max_tokens: 90_000 }));
    for (let count = 0; count < 5; count += 1) await client.next();
    client.leave();
    await expect.poll(() => underWay(server)).toBe(0);
    const steps = decoder.texts.length;
    expect(steps).toBeLessThan(1000);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(decoder.texts).toHaveLength(steps);
  });

  test('the end of the server ends it', async () => {
    const beforeStep = () => new Promise<void>((resolve) => setTimeout(resolve, 1));
    const models = new FakeModels([countingDecoder('gpt', { beforeStep, maxTokens: 100_000 })]);
    const server = await V2Server.start(models, { generation: { maxTokens: 90_000 } });
    const client = await EventClient.post(server.url + STREAM, asked([1], { max_tokens: 90_000 }));
    await client.next();
    await server[Symbol.asyncDispose]();
    const events = await client.all();
    expect(events.at(-1) ?? {}).not.toHaveProperty('finish_reason');
    await expect.poll(() => underWay(server)).toBe(0);
  });
});

describe('a stream that is alive', () => {
  test('outlives the limits for requests and idle connections, and so does an answer that takes long', async () => {
    // Connections that are idle for twice the time are closed.
    const settings = { requestTimeout: '100ms' };
    const beforeStep = () => new Promise<void>((resolve) => setTimeout(resolve, 350));
    await using server = await V2Server.start(new FakeModels([countingDecoder('gpt', { beforeStep })]), settings);
    const streamed = EventClient.post(server.url + STREAM, asked([1], { max_tokens: 3 }));
    const answered = server.post(GENERATE, asked([1], { max_tokens: 3 }));
    expect((await (await streamed).all()).at(-1)).toMatchObject({ finish_reason: 'max_tokens' });
    expect(await (await answered).json()).toMatchObject({ finish_reason: 'max_tokens' });
  });

  test('says so while a step takes long', async () => {
    const clock = new FakeClock();
    const gate = new Gate();
    const beforeStep = (step: number) => (step === 1 ? gate.pass() : undefined);
    const models = new FakeModels([countingDecoder('gpt', { beforeStep })]);
    await using server = await V2Server.start(models, {}, testDeps(clock));
    const client = await EventClient.post(server.url + STREAM, asked([1], { max_tokens: 2 }));
    expect(await client.next()).toMatchObject({ token: 2 });
    await expect.poll(() => gate.waiting).toBe(1);
    await clock.advance(31_000);
    expect([await client.next(), await client.next()]).toEqual([': still here', ': still here']);
    gate.open();
    expect(await client.all()).toHaveLength(2);
    expect(await underWay(server)).toBe(0);
  });

  test('waits for a client that does not read, and gives it up after 30 s', async () => {
    const clock = new FakeClock();
    const models = new FakeModels([endlessDecoder('gpt')]);
    const generation = { maxTokens: 900_000 };
    await using server = await V2Server.start(models, { generation }, testDeps(clock));
    // With an id of a thousand characters some ten thousand events fill what the kernel holds for a connection.
    const client = await EventClient.post(
      server.url + STREAM,
      asked([1], { max_tokens: 900_000 }, { id: 'x'.repeat(1000) }),
    );
    const steps = () => models.asked.length;
    await expect.poll(() => quiet(steps)).toBe(true);
    const held = steps();
    expect(held).toBeLessThan(100_000);
    // It reads on: so does the stream go on.
    for (let count = 0; count < held; count += 1) await client.next();
    expect(steps()).toBeGreaterThan(held);
    await expect.poll(() => quiet(steps)).toBe(true);
    await clock.advance(29_000);
    expect(await underWay(server)).toBe(1);
    await clock.advance(1_000);
    await expect.poll(() => underWay(server)).toBe(0);
    expect(await ended(server, 'stalled')).toBe(1);
  });
});

function connectTo(server: V2Server): Socket {
  return connect({ port: Number(new URL(server.url).port), host: '127.0.0.1', allowHalfOpen: true });
}

function rawRequest(path: string, tokens: number): string {
  const body = JSON.stringify(asked([1], { max_tokens: tokens }));
  return `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

/** Returns true if nothing was added for 100 ms. */
async function quiet(count: () => number): Promise<boolean> {
  const before = count();
  await new Promise((resolve) => setTimeout(resolve, 100));
  return count() === before;
}

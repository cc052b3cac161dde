import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TurnBudget } from '../../src/http/turn-budget.ts';
import { errorMessage } from '../../src/platform/errors.ts';
import { testDeps } from '../support/test-deps.ts';

/** Much longer than a turn may be given to requests. */
const HANDLER_MS = 2;

let app = fastify();
let turns = new TurnBudget(testDeps());

beforeEach(() => {
  app = fastify();
  turns = new TurnBudget(testDeps());
  turns.limit(app);
});

afterEach(() => app.close());

test('the event loop turns between any two requests that arrived together', async () => {
  const loop = countTurns();
  const takenUp: number[] = [];
  app.get('/', () => {
    takenUp.push(loop.turn);
    busy();
    return '';
  });
  await sendAtOnce(
    await listen(),
    Array.from({ length: 20 }, () => '/'),
  );
  loop.stop();
  expect(takenUp).toHaveLength(20);
  expect(new Set(takenUp).size).toBe(20);
});

test('requests are taken up in the order in which they arrived', async () => {
  const numbers: number[] = [];
  app.get<{ Params: { number: string } }>('/:number', ({ params }) => {
    numbers.push(Number(params.number));
    busy();
    return '';
  });
  await sendAtOnce(
    await listen(),
    Array.from({ length: 20 }, (_, index) => `/${index}`),
  );
  expect(numbers).toEqual(Array.from({ length: 20 }, (_, index) => index));
});

test('nothing that comes while others wait goes before them', async () => {
  const order: number[] = [];
  const enter = async (number: number): Promise<void> => {
    await arrive(turns);
    order.push(number);
  };
  const entered: Promise<void>[] = [];
  for (let number = 0; number < 40; number += 1) {
    entered.push(enter(number));
    if (number % 8 === 7) await setImmediate();
  }
  await Promise.all(entered);
  expect(order).toEqual(Array.from({ length: 40 }, (_, index) => index));
});

test('what waits is looked at in its turn alone, however many wait', async () => {
  const deps = testDeps();
  let looks = 0;
  const monotonicMs = deps.clock.monotonicMs.bind(deps.clock);
  deps.clock.monotonicMs = () => {
    looks += 1;
    return monotonicMs();
  };
  const busyTurns = new TurnBudget(deps);
  await Promise.all(Array.from({ length: 900 }, () => arrive(busyTurns)));
  expect(looks).toBeLessThan(2 * 900);
});

test('a request is refused with 503 if too many wait', async () => {
  app.get('/', () => '');
  app.setErrorHandler((error, _request, reply) => reply.code(503).send(errorMessage(error)));
  const answers = await sendAtOnce(
    await listen(),
    Array.from({ length: 1_500 }, () => '/'),
  );
  const statuses = [...answers.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status);
  expect(statuses).toHaveLength(1_501);
  expect(statuses.filter((status) => status === '200').length).toBeGreaterThanOrEqual(1_000);
  expect(statuses.filter((status) => status === '503').length).toBeGreaterThan(0);
  expect(answers).toContain('1000 requests are waiting');
});

/** A request that has arrived; resolves once it is taken up. */
function arrive(budget: TurnBudget): Promise<void> {
  return new Promise((resolve) => {
    const addHook = (_name: string, hook: (request: unknown, reply: unknown, done: () => void) => void): void =>
      hook(undefined, undefined, resolve);
    budget.limit({ addHook } as unknown as FastifyInstance);
  });
}

/** Requests that arrive in one piece, on one connection. @returns All that came back. */
async function sendAtOnce(url: string, paths: readonly string[]): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  const last = ['GET /turns/last HTTP/1.1', 'host: 127.0.0.1', 'connection: close', '', ''].join('\r\n');
  socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`).join('') + last);
  let answers = '';
  socket.on('data', (chunk: Buffer) => (answers += chunk.toString()));
  await once(socket, 'close');
  return answers;
}

function listen(): Promise<string> {
  return app.listen({ host: '127.0.0.1', port: 0 });
}

function busy(): void {
  const untilMs = performance.now() + HANDLER_MS;
  while (performance.now() < untilMs);
}

/** Counts turns of the event loop by their check phase. */
function countTurns(): { readonly turn: number; stop(): void } {
  const loop = { turn: 0, immediate: globalThis.setImmediate(count), stop: () => clearImmediate(loop.immediate) };
  function count(): void {
    loop.turn += 1;
    loop.immediate = globalThis.setImmediate(count);
  }
  return loop;
}

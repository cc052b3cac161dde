import { parentPort } from 'node:worker_threads';
import { invariant } from '../../src/platform/errors.ts';

/* A storage worker that opens and keeps up, and dies of the first append. */
const port = parentPort;
invariant(port !== null, 'started as a worker thread');
const health = { status: 'ok', reason: '' };
const report = {
  outbox: health,
  epoch: 'e',
  epochsStarted: 0,
  bytes: 0,
  bytesMax: 1,
  lost: [],
  notices: [],
  stored: 0,
  more: false,
};
port.on('message', ({ id, method }: { readonly id: number; readonly method: string }) => {
  if (method === 'append') throw new Error('out of order');
  port.postMessage({ id, ok: true, result: report });
});

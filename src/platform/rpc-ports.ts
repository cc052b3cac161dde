import type { ChildProcess } from 'node:child_process';
import process from 'node:process';
import { type MessagePort, parentPort, type Worker } from 'node:worker_threads';
import { invariant, OperatingError } from './errors.ts';
import type { RpcPort } from './rpc.ts';

/** Returns the channel to a child process. Posting throws if it is closed, which fails the call immediately. */
export function childPort(child: ChildProcess): RpcPort {
  return {
    post: (message) => {
      if (!child.connected) throw new OperatingError('rpc-closed', 'retry', 'its channel is closed');
      // A failed write also causes the child's 'error', 'exit' or 'close', which settle the call.
      child.send(message as object, () => undefined);
    },
    onMessage: (listener) => child.on('message', listener),
  };
}

/** Returns the channel of this child process to its parent. What is posted after its end is dropped. */
export function parentProcessPort(): RpcPort {
  invariant(process.send !== undefined, 'the process is started by fork');
  const send = process.send.bind(process);
  return {
    post: (message) => {
      if (process.connected) send(message, () => undefined);
    },
    onMessage: (listener) => process.on('message', listener),
  };
}

/** Returns the channel to a thread. */
export function threadPort(thread: Worker | MessagePort): RpcPort {
  return {
    post: (message, moved = []) => thread.postMessage(message, moved),
    onMessage: (listener) => thread.on('message', listener),
  };
}

/** Returns the channel of this thread to the one that started it. */
export function parentThreadPort(): RpcPort {
  invariant(parentPort !== null, 'the file is started as a worker thread');
  return threadPort(parentPort);
}

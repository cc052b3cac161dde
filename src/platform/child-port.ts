import type { ChildProcess } from 'node:child_process';
import { OperatingError } from './errors.ts';
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

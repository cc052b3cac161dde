import type { ChildProcess } from 'node:child_process';
import { OperatingError } from './errors.ts';
import type { RpcPort } from './rpc.ts';

/** The channel to a forked process. Posting throws where it is closed, which fails the call at once. */
export function childPort(child: ChildProcess): RpcPort {
  return {
    post: (message) => {
      if (!child.connected) throw new OperatingError('rpc-closed', 'retry', 'its channel is closed');
      // A failed write is told by the child's 'error', 'exit' or 'close' as well, which settle the call.
      child.send(message as object, () => undefined);
    },
    onMessage: (listener) => child.on('message', listener),
  };
}

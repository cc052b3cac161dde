import { checkConfig, type ConfigCheckProtocol } from '../config-editing/config-check.ts';
import { readTagTable } from '../config-editing/tag-table.ts';
import { parentThreadPort } from '../platform/rpc-ports.ts';
import { serveRpc } from '../platform/rpc.ts';
import { lowerPriority } from './lower-priority.ts';

/* Entry file of the thread that checks configurations. It has no state and can be replaced at any time. */
lowerPriority();

serveRpc<ConfigCheckProtocol>(parentThreadPort(), {
  check: (request) => checkConfig(request),
  readTags: (table) => readTagTable(table),
});

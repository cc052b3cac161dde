import type { Uplink, UplinkContext } from '../../contracts/uplink.ts';
import { readSecret } from '../../platform/config-fields.ts';
import { messageJson } from '../message-json.ts';
import { UplinkPump } from '../uplink-pump.ts';
import { answerError } from './http-answer.ts';
import type { HttpUplinkConfig } from './http-config.ts';
import { type HttpEncoding, HttpTransport } from './http-transport.ts';

/** Creates an uplink that posts batches of records to a URL. */
export function createHttpUplink({ id, agentId, config, records, deps }: UplinkContext<HttpUplinkConfig>): Uplink {
  // One request at a time: two on two connections could arrive in the wrong order.
  return new UplinkPump({
    id,
    config,
    records,
    transport: new HttpTransport(config, jsonEncoding(agentId, config), deps),
    inFlightMax: 1,
    deps,
  });
}

function jsonEncoding(agentId: string, config: HttpUplinkConfig): HttpEncoding {
  return {
    body: (batch) => messageJson(`"agent":${JSON.stringify(agentId)},`, batch, config.values),
    headers: ({ first, last }) => {
      const configured = Object.entries(config.headers).map(([name, value]) => [
        name.toLowerCase(),
        typeof value === 'string' ? value : readSecret(value),
      ]);
      return {
        accept: 'application/json',
        ...Object.fromEntries(configured),
        'content-type': 'application/json',
        'idempotency-key': `${first.id}..${last.id}`,
      };
    },
    answerError: (answer, nowMs) => answerError(answer, config.keepStatuses, nowMs),
  };
}

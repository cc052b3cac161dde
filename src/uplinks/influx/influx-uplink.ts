import type { Uplink, UplinkContext } from '../../contracts/uplink.ts';
import type { RecordBatch } from '../../domain/record/record-batch.ts';
import { readSecret } from '../../platform/config-fields.ts';
import { answerError, type HttpAnswer } from '../http/http-answer.ts';
import { type HttpEncoding, HttpTransport } from '../http/http-transport.ts';
import { recordObjects } from '../../domain/record/record-object.ts';
import { UplinkError } from '../uplink-errors.ts';
import { UplinkPump } from '../uplink-pump.ts';
import type { InfluxUplinkConfig } from './influx-config.ts';
import { linePoint } from './line-protocol.ts';
import { recordPoints } from './record-points.ts';

/** Creates an uplink that posts batches of records in line protocol. */
export function createInfluxUplink({ id, agentId, config, records, deps }: UplinkContext<InfluxUplinkConfig>): Uplink {
  return new UplinkPump({
    id,
    config: { ...config, values: 'names' },
    records,
    transport: new HttpTransport(config, lineEncoding(agentId, config), deps),
    inFlightMax: 1,
    deps,
  });
}

function lineEncoding(agentId: string, config: InfluxUplinkConfig): HttpEncoding {
  return {
    body: (batch) => linesOf(batch, agentId, config),
    headers: () => ({
      ...authorization(config),
      accept: 'application/json',
      'content-type': 'text/plain; charset=utf-8',
    }),
    answerError: (answer, nowMs) => influxAnswerError(answer, config.keepStatuses, nowMs),
  };
}

function linesOf(batch: RecordBatch, agentId: string, config: InfluxUplinkConfig): Buffer | undefined {
  const { prefix, labels, texts } = config;
  const lines = recordObjects(batch)
    .flatMap((record) => recordPoints(agentId, record))
    .map((point) => {
      const measurement = `${prefix}${point.measurement}`;
      return linePoint({ ...point, measurement, labels: { ...labels, ...point.labels } }, texts);
    })
    .filter((line) => line !== undefined);
  return lines.length === 0 ? undefined : Buffer.from(`${lines.join('\n')}\n`);
}

function authorization({ token, username, password }: InfluxUplinkConfig): Readonly<Record<string, string>> {
  if (token !== undefined) return { authorization: `Token ${readSecret(token)}` };
  if (username === undefined || password === undefined) return {};
  return { authorization: `Basic ${Buffer.from(`${username}:${readSecret(password)}`).toString('base64')}` };
}

/**
 * Maps an answer to an error. With 400 and 422 InfluxDB may have stored all points but some, so the batch is divided until the
 * refused records are alone. Points that are sent twice are stored once.
 */
function influxAnswerError(
  answer: HttpAnswer,
  keepStatuses: readonly number[],
  nowMs: number,
): UplinkError | undefined {
  const error = answerError(answer, keepStatuses, nowMs);
  if (error?.code !== 'uplink-refused' || (answer.status !== 400 && answer.status !== 422)) return error;
  return new UplinkError('uplink-partly-refused', error.message);
}

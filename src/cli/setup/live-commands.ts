import { loadConfig } from '../../config/config-file.ts';
import { lookUpModels } from '../../config/config-model-checks.ts';
import type { AgentConfig } from '../../config/config-schema.ts';
import { loadKinds } from '../../config/kinds.ts';
import { formatDuration } from '../../domain/duration.ts';
import { formatModelReference } from '../../domain/model/model-reference.ts';
import { LiveReading, type TagValue, type WatchWindow } from '../../offline/live-reading.ts';
import { sleep } from '../../platform/clock.ts';
import { mqttConnectionOptions, randomClientId } from '../../protocols/mqtt/mqtt-config.ts';
import { MqttConnection } from '../../protocols/mqtt/mqtt-connection.ts';
import { type Output, printResult } from '../output/output.ts';
import { type Deps, systemDeps } from '../../platform/deps.ts';
import { table } from '../output/table.ts';

/** A device answers within this time, unless its timeout is longer; a topic may be silent for longer. */
const WITHIN_MS = 10_000;
const ROWS_SHOWN_MAX = 20;

/**
 * The part of `andon check --live` behind the check of the file: reads each tag once and connects to each broker.
 * @returns 1 if a tag is not good or a broker cannot be reached.
 */
export async function liveCheck(
  config: AgentConfig,
  file: string,
  options: { readonly json: boolean },
  output: Output,
): Promise<number> {
  const deps = systemDeps();
  const brokers = Promise.all(brokersOf(config).map((broker) => brokerState(broker, deps)));
  await using reading = new LiveReading(config, await loadKinds(), deps);
  reading.start();
  const tags = await reading.values(WITHIN_MS);
  const connections = await brokers;
  const components = deps.health.components().filter(({ status, reason }) => status !== 'ok' && reason !== '');
  printResult(output, options, {
    document: {
      ok: true,
      file,
      tags,
      // The JSON has an empty text for a broker that is connected.
      brokers: connections.map((broker) => ({ ...broker, problem: broker.problem ?? '' })),
      components,
    },
    text: [
      table(['tag', 'value', 'unit', 'range', 'quality', 'reason'], tags.map(cells)),
      ...connections.map(({ name, url, problem }) => `${name}: ${url} ${problem ?? 'connected'}`),
      ...components.map(({ name, reason }) => `${name}: ${reason}`),
    ].join('\n'),
  });
  return tags.every(({ quality }) => quality === 'good') && connections.every(({ problem }) => problem === undefined)
    ? 0
    : 1;
}

function cells({ tag, value, text, unit, range, quality, reason }: TagValue): readonly string[] {
  const number = value === undefined ? '–' : String(Number(value.toPrecision(6)));
  const shown = text === undefined ? number : `${number} (${text})`;
  return [tag, shown, unit, range?.join(' to ') ?? '', quality, reason === 'none' ? '' : reason];
}

type Broker = { readonly name: string; readonly config: Parameters<typeof mqttConnectionOptions>[0] };
type BrokerState = { readonly name: string; readonly url: string; readonly problem: string | undefined };

/** Brokers that andon sends to. Those of sources are read. */
function brokersOf({ publish, sparkplug, uplinks }: AgentConfig): readonly Broker[] {
  return [
    ...(publish === undefined ? [] : [{ name: 'publish', config: publish }]),
    ...(sparkplug === undefined
      ? []
      : [{ name: 'sparkplug', config: { ...sparkplug, cleanSession: true, sessionExpiryMs: 0 } }]),
    ...Object.entries(uplinks).flatMap(([id, uplink]) =>
      uplink.type === 'mqtt' ? [{ name: `uplink/${id}`, config: uplink }] : [],
    ),
  ];
}

async function brokerState({ name, config }: Broker, deps: Deps): Promise<BrokerState> {
  // With the id of the agent, the broker would disconnect an agent that runs.
  const owner = { name: `check/${name}`, clientId: randomClientId(deps.random, 'check') };
  const options = mqttConnectionOptions({ ...config, clientId: undefined, cleanSession: true }, owner);
  await using connection = new MqttConnection(options, deps);
  const ended = new AbortController();
  let problem: string | undefined = `no answer within ${formatDuration(WITHIN_MS)}`;
  connection.onState((state) => {
    problem = state.connected ? undefined : state.reason;
    ended.abort();
  });
  connection.start();
  await sleep(deps.clock, WITHIN_MS, ended.signal);
  return { name, url: config.url, problem };
}

/** `andon run --once`: prints one window of every watch. Nothing is stored or published. @returns 1 if one is missing or incomplete. */
export async function runOnce(file: string, output: Output): Promise<number> {
  const { config } = await loadConfig(file);
  const deps = systemDeps();
  const { models } = await lookUpModels(config);
  const watches = Object.entries(config.watches).map(([id, { model, window }]) => {
    const found = models.get(formatModelReference(model));
    const steps = found !== undefined && 'manifest' in found ? found.manifest.window.steps : 1;
    const stepMs = window.stepMs === 'scan' ? 1000 : window.stepMs;
    return { id, steps, lengthMs: (steps + 2) * stepMs };
  });
  const longestMs = Math.max(0, ...watches.map(({ lengthMs }) => lengthMs)) + WITHIN_MS;
  output.err(`waits up to ${formatDuration(longestMs)} for one window of ${watches.length} watches`);
  await using reading = new LiveReading(
    config,
    await loadKinds(),
    deps,
    new Map(watches.map(({ id, steps }) => [id, steps])),
  );
  reading.start();
  const windows = await reading.windows(longestMs);
  output.out(windows.map(windowText).join('\n\n'));
  return windows.every(({ window }) => window?.values !== undefined) ? 0 : 1;
}

function windowText({ watch, tags, window }: WatchWindow): string {
  if (window === undefined) return `${watch}: no window, because its rows are not complete in time`;
  const time = new Date(window.timestampMs).toISOString();
  if (window.values === undefined) return `${watch}, ${time}: cannot be judged, because ${window.reason}`;
  const { values } = window;
  const count = values.length / tags.length;
  const rows = Array.from({ length: Math.min(count, ROWS_SHOWN_MAX) }, (_, index) => {
    const from = (count - Math.min(count, ROWS_SHOWN_MAX) + index) * tags.length;
    return Array.from(values.subarray(from, from + tags.length), (value) => String(Number(value.toPrecision(6))));
  });
  const more = count > rows.length ? `, the last ${rows.length} of ${count} rows` : '';
  return `${watch}, window that ends at ${time}${more}\n${table(tags, rows)}`;
}

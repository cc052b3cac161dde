import { Document, isMap, visit } from 'yaml';
import { formatDuration } from '../domain/duration.ts';
import type { CsvLayout } from '../csv/csv-file.ts';

/** Interval of the rows of a file without times. */
export const ROW_INTERVAL_MS = 1000;
/** Fastest scan that is proposed. */
const SCAN_INTERVAL_MS_MIN = 10;

export type ReplayPeers = {
  /** `tcp://127.0.0.1:1502`; undefined if the replay is not a Modbus device. */
  readonly modbusUrl: string | undefined;
  /** Undefined if the replay publishes nothing. */
  readonly mqtt: { readonly url: string; readonly topicPrefix: string } | undefined;
  readonly speed: number;
};

/**
 * The `sources:` section of a configuration that reads a replayed file. Tags have the names of the columns. If both
 * protocols are open, the tags over MQTT begin with `mqtt.`, because a tag has one source.
 */
export function sourcesSection(layout: CsvLayout, peers: ReplayPeers): string {
  const intervalMs = (layout.intervalMs ?? ROW_INTERVAL_MS) / peers.speed;
  const scanInterval = formatDuration(Math.max(Math.round(intervalMs), SCAN_INTERVAL_MS_MIN));
  const sources = {
    ...(peers.modbusUrl === undefined
      ? {}
      : { replay: { type: 'modbus', url: peers.modbusUrl, scanInterval, tags: modbusTags(layout) } }),
    ...(peers.mqtt === undefined
      ? {}
      : {
          'replay-mqtt': {
            type: 'mqtt',
            url: peers.mqtt.url,
            tags: mqttTags(layout, peers.mqtt.topicPrefix, peers.modbusUrl === undefined ? '' : 'mqtt.'),
          },
        }),
  };
  const document = new Document({ sources });
  visit(document, {
    // A tag is one line.
    Map: (_, node) => {
      if (isMap(node) && (node.has('address') || node.has('topic'))) node.flow = true;
    },
  });
  return document.toString({ lineWidth: 0 });
}

/** Returns a topic for each column: `<prefix>/<column>`, without characters that a topic may not have. Each is unique. */
export function replayTopics(columns: readonly string[], prefix: string): readonly string[] {
  // oxlint-disable-next-line no-control-regex -- These are the characters to replace.
  const names = columns.map((column) => column.replace(/[\u0000-\u001f\u007f-\u009f\s/+#]+/g, '-'));
  return names.map((name, index) => {
    const suffix = names.indexOf(name) === index ? '' : `-${index + 1}`;
    return `${prefix}/${name}${suffix}`;
  });
}

/** Returns the address of the row counter (uint32), which follows the two registers of each column. */
export function rowCounterAddress(columns: readonly string[]): number {
  return columns.length * 2;
}

function modbusTags({ columns }: CsvLayout) {
  const counter = columns.includes('row') ? 'replay.row' : 'row';
  return Object.fromEntries([
    ...columns.map((column, index) => [column, { register: 'holding', address: index * 2, type: 'float32' }]),
    [counter, { register: 'holding', address: rowCounterAddress(columns), type: 'uint32' }],
  ]);
}

function mqttTags({ columns }: CsvLayout, topicPrefix: string, namePrefix: string) {
  const topics = replayTopics(columns, topicPrefix);
  return Object.fromEntries(
    columns.map((column, index) => [
      `${namePrefix}${column}`,
      { topic: topics[index], value: '$.value', time: '$.timestamp_ms' },
    ]),
  );
}

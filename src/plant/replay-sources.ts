import { Document, isMap, visit } from 'yaml';
import { formatDuration } from '../domain/duration.ts';
import type { CsvLayout } from '../csv/csv-file.ts';

/** Interval of rows in a file that has no times. */
export const ROW_INTERVAL_MS = 1000;
/** Fastest scan that is proposed. */
const SCAN_INTERVAL_MS_MIN = 10;

export type ReplayPeers = {
  /** `tcp://127.0.0.1:1502`; undefined where the replay is no Modbus device. */
  readonly modbusUrl: string | undefined;
  /** Undefined where the replay publishes nothing. */
  readonly mqtt: { readonly url: string; readonly topicPrefix: string } | undefined;
  readonly speed: number;
};

/**
 * The `sources:` section of a configuration that reads a replayed file. Tags are named as the columns; where both
 * ways are open, those over MQTT begin with `mqtt.`, since a tag has one source.
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

/** One topic a column: `<prefix>/<column>`, with what a topic may not hold replaced; never two alike. */
export function replayTopics(columns: readonly string[], prefix: string): readonly string[] {
  // oxlint-disable-next-line no-control-regex -- These are what it keeps out.
  const names = columns.map((column) => column.replace(/[\u0000-\u001f\u007f-\u009f\s/+#]+/g, '-'));
  return names.map((name, index) => {
    const suffix = names.indexOf(name) === index ? '' : `-${index + 1}`;
    return `${prefix}/${name}${suffix}`;
  });
}

/** Address of the row counter, an unsigned 32-bit count of rows shown: behind the columns' two registers each. */
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

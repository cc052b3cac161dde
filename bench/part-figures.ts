import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchSite } from './bench-site.ts';
import type { Figure, Goal } from './figure.ts';
import type { PartName, PartProtocol } from './parts.ts';
import { Peer } from './peer.ts';
import { median } from './statistics.ts';

export type Part = {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  readonly agent: PartName;
  readonly limit: PartName;
  readonly goal: Goal | undefined;
};

export const benchParts: readonly Part[] = [
  {
    id: 'scan',
    title: 'Scans of 1,000 registers, compared with a bare modbus-serial loop',
    unit: 'scans/s',
    agent: 'scansAgent',
    limit: 'scansLimit',
    goal: { kind: 'ratio-at-least', value: 0.9 },
  },
  {
    id: 'scan-8',
    title: 'The same with 8 requests in flight, compared with the same loop',
    unit: 'scans/s',
    agent: 'scansTogether',
    limit: 'scansLimit',
    goal: { kind: 'ratio-at-least', value: 2 },
  },
  {
    id: 'outbox',
    title: 'Outbox, compared with bare better-sqlite3 at 500 rows for each FULL commit',
    unit: 'rows/s',
    agent: 'outboxAgent',
    limit: 'outboxLimit',
    goal: { kind: 'ratio-at-least', value: 0.7 },
  },
  {
    id: 'outbox-table',
    title: 'Outbox, compared with the same into the table and index of the agent',
    unit: 'rows/s',
    agent: 'outboxAgent',
    limit: 'outboxTableLimit',
    goal: undefined,
  },
  {
    id: 'samples',
    title: 'Windows, host, alarms, history, outbox, compared with run and INSERT alone',
    unit: 'samples/s',
    agent: 'samplesAgent',
    limit: 'samplesLimit',
    goal: undefined,
  },
  {
    id: 'rollups',
    title: 'A month of 8 tags by the minute, compared with a plain table in better-sqlite3',
    unit: 'months/s',
    agent: 'rollupsAgent',
    limit: 'rollupsLimit',
    goal: { kind: 'ratio-at-least', value: 1 },
  },
  {
    id: 'drain',
    title: 'Backlog to an MQTT broker, compared with bare mqtt.js',
    unit: 'records/s',
    agent: 'drainAgent',
    limit: 'drainLimit',
    goal: { kind: 'ratio-at-least', value: 0.4 },
  },
  {
    id: 'drain-short',
    title: 'The same, a backlog of 50,000 records, start-up included',
    unit: 'records/s',
    agent: 'drainShortAgent',
    limit: 'drainShortLimit',
    goal: undefined,
  },
  {
    id: 'flash',
    title: 'Bytes written for each verdict of W2, compared with better-sqlite3 and JSON',
    unit: 'bytes',
    agent: 'flashAgent',
    limit: 'flashLimit',
    goal: undefined,
  },
  {
    id: 'days',
    title: 'Days of a watch of 492 tags at 10 Hz in 2 GB, compared with JSON in a bare table',
    unit: 'days',
    agent: 'daysAgent',
    limit: 'daysLimit',
    goal: { kind: 'at-least', value: 1 },
  },
  ...intakeParts(),
];

function intakeParts(): readonly Part[] {
  const subjects = [
    ['mqtt', 'a tag for each topic', 'intakeTags'],
    ['mqtt-pattern', 'one pattern for all topics', 'intakePattern'],
    ['mqtt-stored', 'acknowledged once stored', 'intakeStored'],
  ] as const;
  return subjects.map(([id, how, agent]) => ({
    id,
    title: `MQTT messages received, ${how}, compared with bare mqtt.js that parses`,
    unit: 'messages/s',
    agent,
    limit: 'intakeLimit',
    goal: undefined,
  }));
}

export async function partFigure(
  site: BenchSite,
  part: Part,
  times: { readonly rounds: number; readonly measureMs: number },
  say: (text: string) => void,
): Promise<Figure> {
  const pairs: { readonly agent: number; readonly limit: number }[] = [];
  for (let round = 1; round <= times.rounds; round += 1) {
    say(`${part.id}: ${part.title}, round ${round} of ${times.rounds}`);
    const agent = await measured(site, part.agent, times.measureMs);
    const limit = await measured(site, part.limit, times.measureMs);
    pairs.push({ agent, limit });
  }
  return {
    id: part.id,
    title: part.title,
    unit: part.unit,
    agent: median(pairs.map(({ agent }) => agent)),
    limit: median(pairs.map(({ limit }) => limit)),
    compared: median(pairs.map(({ agent, limit }) => agent / limit)),
    goal: part.goal,
  };
}

async function measured(site: BenchSite, part: PartName, measureMs: number): Promise<number> {
  await using peer = new Peer<PartProtocol>('parts.ts');
  const { devicePorts, brokerUrl, modelDirectory, modelFile } = site;
  const folder = mkdtempSync(join(site.folder, `${part}-`));
  return await peer.call('measure', { part, folder, devicePorts, brokerUrl, modelDirectory, modelFile, measureMs });
}

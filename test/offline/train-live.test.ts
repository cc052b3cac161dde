import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { backtest } from '../../src/offline/backtest.ts';
import { bindWatch } from '../../src/config/watch-binding.ts';
import { loadConfig } from '../../src/config/config-file.ts';
import { historyRecording } from '../../src/offline/history-recording.ts';
import { csvRecording, type Recording } from '../../src/offline/recording.ts';
import { historyExportCommand } from '../../src/cli/training/history-command.ts';
import { systemDeps } from '../../src/platform/deps.ts';
import { trainCommand } from '../../src/cli/training/train-command.ts';
import { exportRecords } from '../../src/outbox/records/outbox-reader.ts';
import { CsvFile } from '../../src/csv/csv-file.ts';
import { CsvReplay } from '../../src/plant/csv-replay.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { machineRows } from '../training/machine.ts';
import { machineLines, machineTags } from './train-fixture.ts';

/** Rows are replayed, scanned and judged at this distance. */
const STEP_MS = 50;
const VERDICTS_WANTED = 30;

/*
 * The invariant: what a backtest says of the kept samples is what the daemon said of them live, window for window, to
 * the last bit of the score. A file is replayed as a Modbus device, the real daemon reads and judges it and keeps its
 * history; then the history is backtested, once from the database and once through its export as CSV.
 */
test('a backtest of the history says what the daemon said live, window for window', async () => {
  using folder = new AgentFolder();
  const training = join(folder.path, 'normal.csv');
  const replayed = join(folder.path, 'fault.csv');
  writeFileSync(training, `${machineLines(machineRows(300, 1)).join('\n')}\n`);
  writeFileSync(replayed, `${machineLines(machineRows(2000, 2, 100)).join('\n')}\n`);
  await using replay = new CsvReplay(
    await CsvFile.open(replayed),
    { speed: 1000 / STEP_MS, loop: true, modbus: { host: '127.0.0.1', port: 0 }, mqtt: undefined },
    systemDeps(),
  );
  const port = await replay.listen();
  folder.configure({
    sources: {
      plc: {
        type: 'modbus',
        url: `tcp://127.0.0.1:${port}`,
        unitId: 1,
        scanInterval: `${STEP_MS}ms`,
        tags: Object.fromEntries(
          machineTags.map((tag, index) => [tag, { register: 'holding', address: index * 2, type: 'float32' }]),
        ),
      },
    },
    models: { directory: 'models', deadline: '10s' },
    watches: {
      machine: {
        model: 'machine@1',
        tags: machineTags,
        window: { step: `${STEP_MS}ms`, maxAge: '2s', lateness: '400ms' },
        alarm: {},
      },
    },
    outbox: { historyFlushInterval: '100ms' },
  });
  await trainCommand({ config: folder.configFile, watch: 'machine', csv: training, force: true }, silent);
  void replay.run();
  const path = join(folder.path, 'outbox.db');
  const agent = await AgentProcess.start(folder.configFile);
  await expect
    .poll(() => liveScores(path).then(({ size }) => size), { interval: 500 })
    .toBeGreaterThan(VERDICTS_WANTED);
  await agent.end('SIGTERM');

  const live = await liveScores(path);
  const fromHistory = await backtestScores(folder.configFile, (tags) =>
    historyRecording({ outboxPath: path, tags, stepMs: STEP_MS }),
  );
  const out = join(folder.path, 'export.csv');
  await historyExportCommand({ config: folder.configFile, out }, silent);
  const fromExport = await backtestScores(folder.configFile, (tags) =>
    csvRecording({ path: out, tags, columns: new Map(), timeColumn: undefined, labelColumn: undefined }),
  );
  const compared = [...live.keys()].filter((timestampMs) => fromHistory.has(timestampMs));
  expect(compared.length).toBeGreaterThan(VERDICTS_WANTED / 2);
  for (const timestampMs of compared)
    expect(fromHistory.get(timestampMs), `window at ${timestampMs}`).toBe(live.get(timestampMs));
  expect(fromExport).toEqual(fromHistory);
});

const silent = { out: () => undefined, err: () => undefined };

/** Score of each judged window by its time. */
async function liveScores(path: string): Promise<ReadonlyMap<number, number>> {
  const scores = new Map<number, number>();
  for await (const { timestampMs, body } of exportRecords({ path, agentId: 'edge', kinds: ['verdict'] })) {
    const { score } = JSON.parse(body) as { readonly score?: number | null };
    if (typeof score === 'number') scores.set(timestampMs, score);
  }
  return scores;
}

async function backtestScores(
  configFile: string,
  recordingOf: (tags: readonly string[]) => Recording | Promise<Recording>,
): Promise<ReadonlyMap<number, number>> {
  const { config } = await loadConfig(configFile);
  const binding = bindWatch(config, 'machine');
  const recording = await recordingOf(binding.watch.tags);
  const scores = new Map<number, number>();
  const order = { models: config.models, model: binding.watch.model, binding, recording, deps: systemDeps() };
  for await (const row of backtest({ ...order, range: { first: 0, last: Infinity }, pacing: 'times' }))
    if (row.verdict?.score !== undefined) scores.set(row.timeMs, row.verdict.score);
  return scores;
}

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { stringify } from 'yaml';
import { evaluateCommand, type EvaluateOptions } from '../../src/cli/training/evaluate-command.ts';
import { trainCommand, type TrainOptions } from '../../src/cli/training/train-command.ts';
import type { TrainingRows } from '../../src/training/core/training-rows.ts';

export const machineTags = ['load', 'flow', 'temperature'];

/** A folder with a configuration whose watch `machine` has no model yet. */
export class TrainingSite {
  readonly folder: string;
  readonly config: string;

  constructor(
    options: {
      readonly tags?: readonly string[];
      readonly watch?: object;
      readonly tag?: object;
      readonly models?: object;
    } = {},
  ) {
    const { tags = machineTags } = options;
    this.folder = mkdtempSync(join(tmpdir(), 'andon-train-'));
    onTestFinished(() => rmSync(this.folder, { recursive: true }));
    this.config = join(this.folder, 'andon.yaml');
    const registers = tags.map((name, index) => [
      name,
      { register: 'holding', address: index * 2, type: 'float32', ...options.tag },
    ]);
    writeFileSync(
      this.config,
      stringify({
        agent: { id: 'test' },
        sources: { plc: { type: 'modbus', url: 'tcp://127.0.0.1:1', unitId: 1, tags: Object.fromEntries(registers) } },
        models: { directory: 'models', deadline: '20s', loadDeadline: '60s', ...options.models },
        watches: { machine: { model: 'machine', tags, ...options.watch } },
        outbox: { path: 'outbox.db' },
      }),
    );
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  /** Writes lines as a CSV and gives its path. */
  csv(name: string, lines: readonly string[]): string {
    writeFileSync(this.path(name), `${lines.join('\n')}\n`);
    return this.path(name);
  }

  /** Trains, also on fewer rows than is advised: these are enough for most tests. */
  train(options: Omit<TrainOptions, 'config' | 'watch'>) {
    return captured((output) =>
      trainCommand({ config: this.config, watch: 'machine', force: true, ...options }, output),
    );
  }

  evaluate(options: Omit<EvaluateOptions, 'config' | 'watch'>) {
    return captured((output) => evaluateCommand({ config: this.config, watch: 'machine', ...options }, output));
  }
}

/** Rows as a historian writes them: a time a second, the tags, a label where `faultFrom` says so. */
export function machineLines(rows: TrainingRows, faultFrom?: number): readonly string[] {
  const label = (row: number) => (faultFrom === undefined ? [] : [row < faultFrom ? '0' : '1']);
  return [
    ['datetime', ...machineTags, ...(faultFrom === undefined ? [] : ['anomaly'])].join(';'),
    ...Array.from({ length: rows.count }, (_, row) =>
      [timeText(row), ...rows.values.subarray(row * rows.tags, (row + 1) * rows.tags), ...label(row)].join(';'),
    ),
  ];
}

export function timeText(row: number): string {
  return new Date(Date.UTC(2026, 0, 1) + row * 1000).toISOString().slice(0, 19).replace('T', ' ');
}

async function captured(run: (output: { out(text: string): void; err(text: string): void }) => Promise<number>) {
  const said = { out: '', err: '' };
  const code = await run({
    out: (text) => (said.out += `${text}\n`),
    err: (text) => (said.err += `${text}\n`),
  });
  return { code, ...said };
}

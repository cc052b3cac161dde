import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/*
 * CPU and memory of a process and its descendants, from Linux's /proc. A process that ends during the reading is not counted.
 */

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

export type ProcessFigures = {
  /** User and system time so far in milliseconds, in steps of 10 ms on most machines. */
  readonly cpuMs: number;
  readonly residentBytes: number;
  /** Resident memory, with shared pages divided among the processes that share them. */
  readonly proportionalBytes: number;
};

export function processTreeFigures(pid: number): ProcessFigures {
  const each = descendants(pid).map(figuresOf);
  const sum = (of: (figures: ProcessFigures) => number) => each.reduce((total, figures) => total + of(figures), 0);
  return {
    cpuMs: sum(({ cpuMs }) => cpuMs),
    residentBytes: sum(({ residentBytes }) => residentBytes),
    proportionalBytes: sum(({ proportionalBytes }) => proportionalBytes),
  };
}

function descendants(pid: number): readonly number[] {
  const children = tasks(pid).flatMap((task) =>
    read(`/proc/${pid}/task/${task}/children`).split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(descendants)];
}

function figuresOf(pid: number): ProcessFigures {
  // The name of the command, in parentheses, may contain spaces; field 3 follows it.
  const fields = read(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ') ?? [];
  const ticks = Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  return {
    cpuMs: (ticks * 1000) / ticksPerSecond,
    residentBytes: kilobytes(read(`/proc/${pid}/status`), 'VmRSS'),
    proportionalBytes: kilobytes(read(`/proc/${pid}/smaps_rollup`), 'Pss'),
  };
}

function kilobytes(text: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024;
}

function tasks(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

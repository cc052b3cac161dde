import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Fields of the control file, in the order of fault-shim.c. Faults count down; -1 stays until it is set to 0. */
const fields = [
  'fsyncDelayMs',
  'fsyncEio',
  'writeEnospc',
  'writeEio',
  'writeErofs',
  'clockOffsetMs',
  'faultsSeen',
  'fsyncsSeen',
] as const;
export type FaultField = (typeof fields)[number];

/** Position of a field in the control file. */
export function faultPosition(field: FaultField): number {
  return 8 * fields.indexOf(field);
}

/** Bytes of a field's value. */
export function faultBytes(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(Math.round(value)));
  return bytes;
}

/** Faults of disk and clock in another process, by fault-shim.c and LD_PRELOAD. Needs gcc. */
export class FaultShim implements Disposable {
  readonly env: NodeJS.ProcessEnv;
  /** The changes of files are logged to `<log>.<pid>`, if wanted. */
  readonly log: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'andon-shim-'));
  readonly #control: number;

  /** @param pathPart Faults are for files whose path contains it. */
  constructor(pathPart: string, { logs = false } = {}) {
    const library = join(this.#folder, 'shim.so');
    execFileSync('gcc', ['-O2', '-shared', '-fPIC', '-o', library, join(import.meta.dirname, 'fault-shim.c'), '-ldl']);
    const control = join(this.#folder, 'control');
    writeFileSync(control, Buffer.alloc(8 * fields.length));
    this.#control = openSync(control, 'r+');
    this.log = join(this.#folder, 'log');
    this.env = {
      LD_PRELOAD: library,
      FAULT_PATH: pathPart,
      FAULT_CTL: control,
      ...(logs ? { FAULT_LOG: this.log } : {}),
    };
  }

  set(field: FaultField, value: number): void {
    writeSync(this.#control, faultBytes(value), 0, 8, faultPosition(field));
  }

  get(field: FaultField): number {
    const bytes = Buffer.alloc(8);
    readSync(this.#control, bytes, 0, 8, faultPosition(field));
    return Number(bytes.readBigInt64LE());
  }

  clear(): void {
    for (const field of fields.slice(0, 6)) this.set(field, 0);
  }

  [Symbol.dispose](): void {
    closeSync(this.#control);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

import { fork } from 'node:child_process';
import { entryFile } from '../../platform/entry-file.ts';
import { errorMessage } from '../../platform/errors.ts';
import { childFlags, YOUNG_MB } from '../../platform/heap-flags.ts';
import type { ManifestReading } from './manifest-file.ts';
import { readManifest } from './manifest-file.ts';

/** Text up to here is read in some ten milliseconds, a tenth of what a process takes to start. */
const TEXT_LENGTH_MAX = 16_384;
/** Golden vectors take 150 times their size while they are parsed. */
const HEAP_PER_CHARACTER = 200;
const HEAP_MB_MIN = 64;
/** Eight megabytes take some seconds, on a machine that is short of time a minute. */
const READ_DEADLINE_MS = 120_000;
const entry = entryFile(import.meta.url, '../../hosts/manifest-reader.ts');

export type ManifestText = {
  readonly file: string;
  readonly text: string;
  readonly expected: { readonly name: string; readonly version: number } | undefined;
};

/** What was begun last. One process at a time: a look at the whole directory may find many long files. */
let last: Promise<unknown> = Promise.resolve();

/**
 * As `readManifest`; a long text in a process of its own, so that the golden vectors of a wide window, or whatever a
 * package brings, hold up no scan: eight megabytes take some seconds. A thread would not do: V8 ends the whole process
 * where one of its threads has no memory left.
 */
export async function readManifestAside(manifest: ManifestText): Promise<ManifestReading> {
  const { file, text, expected } = manifest;
  if (text.length <= TEXT_LENGTH_MAX) return readManifest(file, text, expected);
  const reading = last.then(() => readInProcess(manifest));
  last = reading;
  return reading;
}

/** Never rejects, so that the next one has its turn. */
function readInProcess(manifest: ManifestText): Promise<ManifestReading> {
  return new Promise((resolve) => {
    const heapMb = Math.max(HEAP_MB_MIN, Math.ceil((manifest.text.length * HEAP_PER_CHARACTER) / 1e6));
    const fail = (reason: string): void => {
      const message = `could not be read within ${READ_DEADLINE_MS / 1000} s and ${heapMb} MB of memory: its reader ${reason}`;
      resolve({ manifest: undefined, problems: [{ file: manifest.file, line: 1, column: 1, path: '', message }] });
    };
    const child = fork(entry, {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      timeout: READ_DEADLINE_MS,
      killSignal: 'SIGKILL',
      execArgv: [...childFlags(YOUNG_MB), `--max-old-space-size=${heapMb}`],
    });
    // The peer is our own code: it sends one message and ends.
    child.once('message', (reading) => resolve(reading as ManifestReading));
    child.on('error', (error) => fail(`could not be started or reached: ${errorMessage(error)}`));
    child.once('exit', (code, signal) => fail(signal === null ? `ended with code ${code}` : `ended with ${signal}`));
    child.send(manifest);
  });
}

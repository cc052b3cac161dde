import { fork } from 'node:child_process';
import { manifestReaderEntry } from '../../platform/entries.ts';
import { errorMessage } from '../../platform/errors.ts';
import { childEnvironment } from '../../platform/child-environment.ts';
import { childFlags, YOUNG_MB } from '../../platform/heap-flags.ts';
import { type ManifestReading, readManifest } from './manifest-file.ts';

/** A text of this length is read in about 10 ms, a tenth of the start of a process. */
const TEXT_LENGTH_MAX = 16_384;
/** Parsing of golden vectors takes 150 times their size. */
const HEAP_PER_CHARACTER = 200;
const HEAP_MB_MIN = 64;
/** 8 MB take some seconds, on a loaded machine a minute. */
const READ_DEADLINE_MS = 120_000;

export type ManifestText = {
  readonly file: string;
  readonly text: string;
  readonly expected: { readonly name: string; readonly version: number } | undefined;
};

/** The last reading. One process runs at a time, because a directory may have many long files. */
let last: Promise<unknown> = Promise.resolve();

/**
 * Does the same as `readManifest`. A text longer than `lengthMax` is read in a child process, so that it does not delay the scan. A thread
 * is not enough: V8 ends the whole process if one of its threads runs out of memory.
 */
export async function readManifestAside(manifest: ManifestText, lengthMax = TEXT_LENGTH_MAX): Promise<ManifestReading> {
  const { file, text, expected } = manifest;
  if (text.length <= lengthMax) return readManifest(file, text, expected);
  const reading = last.then(() => readInProcess(manifest));
  last = reading;
  return reading;
}

/** Never rejects, so that the next reading starts. */
function readInProcess(manifest: ManifestText): Promise<ManifestReading> {
  return new Promise((resolve) => {
    const heapMb = Math.max(HEAP_MB_MIN, Math.ceil((manifest.text.length * HEAP_PER_CHARACTER) / 1e6));
    const fail = (reason: string): void => {
      const message = `could not be read within ${READ_DEADLINE_MS / 1000} s and ${heapMb} MB of memory: its reader ${reason}`;
      resolve({ manifest: undefined, problems: [{ file: manifest.file, line: 1, column: 1, path: '', message }] });
    };
    const child = fork(manifestReaderEntry, {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      env: childEnvironment(),
      timeout: READ_DEADLINE_MS,
      killSignal: 'SIGKILL',
      execArgv: [...childFlags(YOUNG_MB), `--max-old-space-size=${heapMb}`],
    });
    // The child is andon's own code: it sends one message and ends.
    child.once('message', (reading) => resolve(reading as ManifestReading));
    child.on('error', (error) => fail(`could not be started or reached: ${errorMessage(error)}`));
    child.once('exit', (code, signal) => fail(signal === null ? `ended with code ${code}` : `ended with ${signal}`));
    child.send(manifest);
  });
}

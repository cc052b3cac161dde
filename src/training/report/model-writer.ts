import { trainingFailure } from '../core/training-errors.ts';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Document, isScalar, isSeq, visit } from 'yaml';
import { errorCode, errorMessage } from '../../platform/errors.ts';
import type { ModelDraft } from './model-draft.ts';

/** Two trainings that end together need the same version number; the later one takes the next. */
const ATTEMPTS_MAX = 20;

/**
 * Writes a draft to the model directory as the next version; does not activate it.
 *
 * The version's folder is complete or absent: it is written under another name and renamed.
 *
 * @param directory The model directory; created if it is missing.
 * @returns The assigned version; versions count from 1.
 * @throws {OperatingError} 'model-not-written' (retry).
 */
export async function writeModel(directory: string, name: string, draft: ModelDraft): Promise<number> {
  const folder = join(directory, name);
  try {
    await mkdir(folder, { recursive: true });
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const version = (await highestVersion(folder)) + 1;
      if (await placeVersion(folder, version, modelFiles(name, version, draft))) return version;
    }
  } catch (error) {
    throw trainingFailure('model-not-written', `${folder}: ${errorMessage(error)}`, { cause: error });
  }
  throw trainingFailure(
    'model-not-written',
    `${folder}: other processes took ${ATTEMPTS_MAX} version numbers in a row. Run the command again`,
  );
}

/** Returns the files of a version's folder by name; the same draft gives the same bytes. */
export function modelFiles(name: string, version: number, draft: ModelDraft): ReadonlyMap<string, Uint8Array | string> {
  const document = new Document({ name, version, ...draft.manifest });
  visit(document, {
    // A golden window has hundreds of numbers: one number a line would make the file unreadable.
    Seq: (_, node) => {
      if (isSeq(node) && node.items.length > 0 && node.items.every((item) => isScalar(item))) node.flow = true;
    },
  });
  return new Map<string, Uint8Array | string>([
    ['model.onnx', draft.graph],
    ['model.yaml', document.toString({ lineWidth: 0, flowCollectionPadding: false })],
    ...(draft.report ?? []),
  ]);
}

async function highestVersion(folder: string): Promise<number> {
  const names = await readdir(folder);
  return Math.max(0, ...names.filter((name) => /^[1-9]\d{0,8}$/.test(name)).map(Number));
}

/** @returns False if another process took the version number. */
async function placeVersion(
  folder: string,
  version: number,
  files: ReadonlyMap<string, Uint8Array | string>,
): Promise<boolean> {
  const staging = await mkdtemp(join(folder, '.writing-'));
  try {
    for (const [file, content] of files) await writeFile(join(staging, file), content, { flush: true });
    await rename(staging, join(folder, String(version)));
    return true;
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    if (['ENOTEMPTY', 'EEXIST'].includes(errorCode(error))) return false;
    throw error;
  }
}

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { Rejection } from '../../domain/rollout/rollout-plan.ts';
import { writeDurably } from '../../platform/durable-file.ts';
import { errorCode, errorMessage } from '../../platform/errors.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';

/** Rejections remembered of one model; the oldest go. */
const REJECTIONS_MAX = 50;

const fileSchema = z.array(z.object({ version: z.int().min(1), reason: z.string(), time: z.iso.datetime() }));

/**
 * Versions of a model that a rollout found bad, from `models/<name>/rejected.json`; empty where there is no such file.
 *
 * @throws {OperatingError} 'model-file-invalid' where the file does not say what it should.
 */
export async function readRejections(directory: string, name: string): Promise<readonly Rejection[]> {
  const path = rejectedPath(directory, name);
  try {
    const entries = fileSchema.parse(JSON.parse(await readFile(path, 'utf8')));
    return entries.map(({ version, reason, time }) => ({ version, reason, timestampMs: Date.parse(time) }));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw inferenceFailure('model-file-invalid', `${path}: ${errorMessage(error)}; remove the file to forget it`, {
      cause: error,
    });
  }
}

/** Remembers a rejection; an earlier one of the same version gives way to it. */
export async function writeRejection(directory: string, name: string, rejection: Rejection): Promise<void> {
  const others = (await soundRejections(directory, name)).filter(({ version }) => version !== rejection.version);
  await write(directory, name, [...others, rejection].slice(-REJECTIONS_MAX));
}

/** Forgets that a version was rejected: somebody wants it all the same. */
export async function clearRejection(directory: string, name: string, version: number): Promise<void> {
  const rejections = await soundRejections(directory, name);
  const others = rejections.filter((rejection) => rejection.version !== version);
  if (others.length < rejections.length) await write(directory, name, others);
}

/** A file that is damaged must not keep anybody from activating a version. */
async function soundRejections(directory: string, name: string): Promise<readonly Rejection[]> {
  return readRejections(directory, name).catch(() => []);
}

async function write(directory: string, name: string, rejections: readonly Rejection[]): Promise<void> {
  const entries = rejections.map(({ version, reason, timestampMs }) => ({
    version,
    reason,
    time: new Date(timestampMs).toISOString(),
  }));
  await writeDurably(rejectedPath(directory, name), `${JSON.stringify(entries, undefined, 2)}\n`);
}

function rejectedPath(directory: string, name: string): string {
  return join(directory, name, 'rejected.json');
}

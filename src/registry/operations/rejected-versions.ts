import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import type { Rejection } from '../../domain/rollout/rollout-plan.ts';
import { inferenceFailure } from '../../models/errors/inference-failure.ts';
import { writeDurably } from '../../platform/durable-file.ts';
import { errorCode, errorMessage } from '../../platform/errors.ts';

/** Rejections kept for each model; the oldest are dropped. */
const REJECTIONS_MAX = 50;

const fileSchema = z.array(z.object({ version: z.int().min(1), reason: z.string(), time: z.iso.datetime() }));

/**
 * Returns the versions that a rollout rejected, from `models/<name>/rejected.json`; empty if the file is missing.
 *
 * @throws {OperatingError} 'model-file-invalid' if the file is damaged.
 */
export async function readRejections(directory: string, name: string): Promise<readonly Rejection[]> {
  const path = rejectedPath(directory, name);
  try {
    const entries = fileSchema.parse(JSON.parse(await readFile(path, 'utf8')));
    return entries.map(({ version, reason, time }) => ({ version, reason, timestampMs: Date.parse(time) }));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw inferenceFailure(
      'model-file-invalid',
      `${path}: ${errorMessage(error)}. Delete the file to forget all rejections of ${name}`,
      { cause: error },
    );
  }
}

/** Returns the rejections; none if the file is damaged, because a damaged file must not block an activation. */
export async function readableRejections(directory: string, name: string): Promise<readonly Rejection[]> {
  return readRejections(directory, name).catch(() => []);
}

/** Stores a rejection. It replaces an earlier one of the same version. */
export async function writeRejection(directory: string, name: string, rejection: Rejection): Promise<void> {
  const others = (await readableRejections(directory, name)).filter(({ version }) => version !== rejection.version);
  await write(directory, name, [...others, rejection].slice(-REJECTIONS_MAX));
}

/** Deletes the rejection of a version. */
export async function clearRejection(directory: string, name: string, version: number): Promise<void> {
  const rejections = await readableRejections(directory, name);
  const others = rejections.filter((rejection) => rejection.version !== version);
  if (others.length < rejections.length) await write(directory, name, others);
}

async function write(directory: string, name: string, rejections: readonly Rejection[]): Promise<void> {
  const entries = rejections.map(({ timestampMs, ...rest }) => ({
    ...rest,
    time: new Date(timestampMs).toISOString(),
  }));
  await writeDurably(rejectedPath(directory, name), `${JSON.stringify(entries, undefined, 2)}\n`);
}

function rejectedPath(directory: string, name: string): string {
  return join(directory, name, 'rejected.json');
}

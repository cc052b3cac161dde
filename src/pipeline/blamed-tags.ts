import type { TagReading } from '../contracts/live-events.ts';
import type { ModelManifest } from '../contracts/model-manifest.ts';
import type { BlamedTag } from '../domain/alarm/alarm-message.ts';
import type { Verdict } from '../domain/alarm/verdict.ts';

/** Returns the tags for an alarm message: the ones that the model blames, or all measured tags if it blames none. */
export function blamedTags(
  verdict: Verdict,
  readings: readonly TagReading[],
  manifest: ModelManifest | undefined,
): readonly BlamedTag[] {
  if (verdict.contributions.length === 0)
    return readings
      .filter(({ tag }) => verdict.imputed?.includes(tag) !== true)
      .map(({ tag, value, unit }) => ({ tag, value, unit, share: undefined }));
  return verdict.contributions.map(({ tag, share }) => {
    const column = readings.findIndex((candidate) => candidate.tag === tag);
    const reading = readings[column];
    // The columns of the model are the tags of the watch, in the same order.
    const normalRange = manifest?.tags[column]?.range;
    return { tag, value: reading?.value, unit: reading?.unit ?? '', share, normalRange };
  });
}

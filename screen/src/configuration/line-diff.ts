import { structuredPatch } from 'diff';

export type DiffLine = {
  readonly kind: 'same' | 'added' | 'removed' | 'skipped';
  /** Line in the old and the new text; undefined if it is only in the other one. */
  readonly old: number | undefined;
  readonly next: number | undefined;
  readonly text: string;
};

const CONTEXT_LINES = 3;

/** Compares two texts by line. Equal lines far from a change are left out. */
export function lineDiff(before: string, after: string): readonly DiffLine[] {
  const { hunks } = structuredPatch('', '', before, after, '', '', { context: CONTEXT_LINES });
  return hunks.flatMap(({ oldStart, newStart, lines }, index) => {
    let [old, next] = [oldStart, newStart];
    const shown = lines.flatMap((line): readonly DiffLine[] => {
      const text = line.slice(1);
      if (line.startsWith('+')) return [{ kind: 'added', old: undefined, next: next++, text }];
      if (line.startsWith('-')) return [{ kind: 'removed', old: old++, next: undefined, text }];
      // The other lines are remarks: "\ No newline at end of file".
      return line.startsWith(' ') ? [{ kind: 'same', old: old++, next: next++, text }] : [];
    });
    const gap: DiffLine = { kind: 'skipped', old: undefined, next: undefined, text: '⋯' };
    return index === 0 ? shown : [gap, ...shown];
  });
}

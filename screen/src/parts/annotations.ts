import { api, readJson, sendJson } from '../agent/agent-api.ts';
import type { Annotation } from '../agent/api-types.ts';
import type { ChartMark } from './chart.tsx';

const colors = { note: '--strong', fault: '--critical', normal: '--normal' } as const;

/** Reads the notes and labelled periods that overlap a range. @param watch Undefined for all watches. */
export async function readAnnotations(
  watch: string | undefined,
  fromMs: number,
  toMs: number,
): Promise<readonly Annotation[]> {
  const query = new URLSearchParams({ from: String(Math.floor(fromMs)), to: String(Math.ceil(toMs)) });
  if (watch !== undefined) query.set('watch', watch);
  const answer = await readJson<{ annotations: Annotation[] }>(`/api/v1/annotations?${query.toString()}`);
  return answer.annotations;
}

export function addAnnotation(draft: Omit<Annotation, 'id' | 'actor' | 'at_ms' | 'removed'>): Promise<Annotation> {
  return sendJson<Annotation>('/api/v1/annotations', draft);
}

export async function removeAnnotation(id: string): Promise<void> {
  await api(`/api/v1/annotations/${encodeURIComponent(id)}`, { method: 'DELETE' });
}

/** Returns annotations as marks of a chart. A note is a line, a period an area. */
export function annotationMarks(annotations: readonly Annotation[]): readonly ChartMark[] {
  return annotations.map(({ from_ms, to_ms, label }) => ({ fromMs: from_ms, toMs: to_ms, color: colors[label] }));
}

import type { FinishReason } from '../../src/serving/text/generate.ts';
import { metricValue } from './test-deps.ts';
import type { V2Server } from './v2-server.ts';

export const GENERATE = '/v2/models/gpt/generate';
export const STREAM = '/v2/models/gpt/generate_stream';

export function asked(tokens: readonly number[], parameters?: object, more?: object): object {
  return { input_ids: tokens, ...(parameters === undefined ? {} : { parameters }), ...more };
}

/** How many generations have ended so. */
export function ended(server: V2Server, outcome: FinishReason | 'stalled'): Promise<number> {
  return metricValue(server.deps, `andon_http_generations_total{outcome="${outcome}"}`);
}

export function underWay(server: V2Server): Promise<number> {
  return metricValue(server.deps, 'andon_http_generations');
}

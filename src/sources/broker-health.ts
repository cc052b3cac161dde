import { BAD, type QualityReason } from '../domain/sample/quality.ts';
import { SampleBatch } from '../domain/sample/sample-batch.ts';
import type { TagNumber } from '../domain/sample/tag.ts';
import type { ComponentHealth } from '../platform/health.ts';
import type { MqttState } from '../protocols/mqtt/mqtt-connection.ts';

/** Reports the health of a source that reads from a broker: `faults` apply while it is connected and subscribed. */
export function reportBrokerHealth(
  health: ComponentHealth | undefined,
  state: MqttState | undefined,
  faults: readonly (string | undefined)[],
): void {
  if (state === undefined) return;
  if (!state.connected) {
    const nextAttempt = `next attempt in ${(state.retryInMs / 1000).toFixed(1)} s`;
    return health?.report('degraded', `${state.reason}; ${nextAttempt}`);
  }
  // The last report stays valid until the subscriptions are answered.
  if (!state.subscribed) return;
  const texts = [state.reason, ...faults].filter((text) => text !== undefined);
  health?.report(texts.length === 0 ? 'ok' : 'degraded', texts.join('; '));
}

/** One bad sample without a value for each tag. */
export function badSamples(tags: readonly TagNumber[], reason: QualityReason, timeMs: number): SampleBatch {
  const batch = new SampleBatch(tags.length);
  for (const tag of tags) batch.add(tag, Number.NaN, timeMs, BAD, reason);
  return batch;
}

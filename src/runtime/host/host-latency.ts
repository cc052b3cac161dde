import { judgesWindows } from '../../contracts/manifest-kind.ts';
import type { LatencyFigures } from '../../contracts/model-registry.ts';
import { checkLatency } from '../../models/checks/latency-check.ts';
import type { StoredModel } from '../../models/store/model-directory.ts';
import type { ModelsConfig } from '../../models/store/models-config.ts';
import { servingOf } from '../../models/store/serving.ts';
import type { Clock } from '../../platform/clock.ts';
import type { HostProcess } from './host-process.ts';
import type { ProvidedSession } from './provider-order.ts';

/** Measures a model that a host has loaded against its deadline. @throws {OperatingError} As `checkLatency`. */
export function checkHostLatency(
  host: HostProcess,
  { key, stored, session }: { readonly key: string; readonly stored: StoredModel; readonly session: ProvidedSession },
  options: { readonly config: ModelsConfig; readonly clock: Clock; readonly ifTooSlow: 'refuse' | 'report' },
): Promise<LatencyFigures | undefined> {
  const { config, clock, ifTooSlow } = options;
  const finite = judgesWindows(stored.manifest);
  return checkLatency({
    run: (inputs, timeoutMs) => host.call('run', { key, inputs, finite }, timeoutMs),
    manifest: stored.manifest,
    inputs: session.loaded.inputs,
    deadlineMs: servingOf(config, stored.manifest).deadlineMs,
    runTimeoutMs: config.loadDeadlineMs,
    ifTooSlow,
    clock,
  });
}

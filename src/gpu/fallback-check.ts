import process from 'node:process';
import type { ExecutionProvider, ModelStatus } from '../contracts/inference.ts';
import type { ModelReference } from '../domain/model/model-reference.ts';
import { joinRows } from '../models/checks/batch-rows.ts';
import { feedOf } from '../models/checks/golden.ts';
import { sleep } from '../platform/clock.ts';
import type { Deps } from '../platform/deps.ts';
import { fallbackText } from '../runtime/host/provider-order.ts';
import { SupervisedInferenceHost } from '../runtime/supervised-host.ts';
import type { CheckedModel } from './provider-check.ts';

/** A provider is given up after some crashes; more are not needed. */
const KILLS_MAX = 8;
/** Enough rows for a run that is still under way when its host is killed. */
const ROWS = 4_096;
const POLL_MS = 20;

/** One death of the host, and the provider that judged afterwards; undefined if none did. */
export type Recovery = { readonly provider: string | undefined; readonly afterMs: number; readonly reason: string };

/**
 * Kills the host during a run, which destroys the context of the device, until the model is back on the CPU.
 *
 * @returns What the model ran on after each kill, and after what time.
 */
export async function checkFallback(
  provider: ExecutionProvider,
  { stored, config }: CheckedModel,
  { entry, deps }: { readonly entry: URL; readonly deps: Deps },
): Promise<readonly Recovery[]> {
  const model = { name: stored.name, version: stored.version };
  const providers = [provider, 'cpu' as const].map((name) => ({ name, deviceId: 0, required: false }));
  await using host = new SupervisedInferenceHost({
    entry,
    config: { ...config, executionProviders: providers },
    models: [model],
    deps,
  });
  host.start();
  await ready(host, model, deps);
  const recoveries: Recovery[] = [];
  while (recoveries.length < KILLS_MAX && recoveries.at(-1)?.provider !== 'cpu') {
    const { inputs } = host.ready(model) ?? { inputs: [] };
    const row = feedOf(stored.manifest.golden[0] ?? { inputs: {} }, inputs);
    const run = host.run(model, joinRows(Array.from({ length: ROWS }, () => row))).catch(() => undefined);
    const pid = host.hostPid();
    const killedMs = deps.clock.monotonicMs();
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    await run;
    const status = await ready(host, model, deps);
    recoveries.push({
      provider: status.state === 'ready' ? status.provider : undefined,
      afterMs: Math.round(deps.clock.monotonicMs() - killedMs),
      reason: status.reason ?? fallbackText(status.fallbacks),
    });
    if (status.state !== 'ready') break;
  }
  return recoveries;
}

/** Waits until a host has the model, or has given it up. */
async function ready(host: SupervisedInferenceHost, { name }: ModelReference, { clock }: Deps): Promise<ModelStatus> {
  for (;;) {
    const status = host.statuses().find((one) => one.name === name);
    const isSettled = status?.state === 'failed' || status?.state === 'quarantined';
    if (status !== undefined && (isSettled || (status.state === 'ready' && host.hostPid() !== undefined)))
      return status;
    await sleep(clock, POLL_MS);
  }
}

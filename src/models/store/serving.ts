import type { ModelReference } from '../../domain/model/model-reference.ts';
import type { AnyManifest } from '../../contracts/model-manifest.ts';
import { CLIENT_HOST, type ModelsConfig, type ProviderConfig } from './models-config.ts';

const MAX_BATCH_DEFAULT = 32;
const MAX_QUEUE_DEFAULT = 256;

/** Default host of the models of watches. */
export const WATCH_HOST = 'main';

/** Settings for the runs of a model: from the configuration, else the manifest, else the default. */
export type Serving = {
  /** Most rows in one run. */
  readonly batchMax: number;
  readonly delayMsMax: number;
  /** Most client requests that wait. */
  readonly queueMax: number;
  readonly deadlineMs: number;
  readonly intraOpThreads: number;
};

export function servingOf(config: ModelsConfig, manifest: AnyManifest): Serving {
  const limits = config.limits[manifest.name];
  const { serving } = manifest;
  return {
    batchMax: limits?.maxBatch ?? serving.maxBatch ?? MAX_BATCH_DEFAULT,
    delayMsMax: limits?.maxDelayMs ?? serving.maxDelayMs ?? 0,
    queueMax: limits?.maxQueue ?? MAX_QUEUE_DEFAULT,
    deadlineMs: limits?.deadlineMs ?? serving.deadlineMs ?? config.deadlineMs,
    intraOpThreads: limits?.intraOpThreads ?? serving.intraOpThreads ?? config.intraOpThreads,
  };
}

export function providersOf(config: ModelsConfig, name: string): readonly ProviderConfig[] {
  return config.limits[name]?.executionProviders ?? config.executionProviders;
}

/** @param who 'watch' or 'client'. A model with a host of its own runs there for both. */
export function hostOf(config: ModelsConfig, name: string, who: 'watch' | 'client'): string {
  return config.limits[name]?.host ?? (who === 'watch' ? WATCH_HOST : CLIENT_HOST);
}

/** Returns the names of the hosts that judge for watches, sorted. @param watched Models of the watches in the configuration. */
export function watchHosts(config: ModelsConfig, watched: readonly ModelReference[]): readonly string[] {
  return [...new Set([WATCH_HOST, ...watched.map(({ name }) => hostOf(config, name, 'watch'))])].toSorted();
}

/** True if clients run a model in one of `hosts`. */
export function isServedBy(hosts: readonly string[], config: ModelsConfig, name: string): boolean {
  return hosts.includes(hostOf(config, name, 'client'));
}

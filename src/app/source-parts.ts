import { dirname } from 'node:path';
import type { Source } from '../contracts/source.ts';
import type { AgentConfig } from '../config/config-schema.ts';
import type { LoadedKinds, SourceConfig } from '../config/kinds.ts';
import type { TagRegister } from '../config/tag-register.ts';
import type { SampleHistoryStore } from '../outbox/sample-history.ts';
import type { Pipeline } from '../pipeline/pipeline.ts';
import type { Deps } from '../platform/deps.ts';
import { waveformWorkerEntry } from '../platform/entries.ts';
import { WaveformAnalyzer } from '../waveforms/waveform-analyzer.ts';
import { Parts } from './parts.ts';
import { sourceHistory } from './source-history.ts';

type SourcePartsOptions = {
  readonly config: () => AgentConfig;
  readonly pipeline: Pipeline;
  readonly deps: Deps;
};

/** Creates the calculation of features from waveforms. */
export function waveformAnalyzer({ config, pipeline, deps }: SourcePartsOptions): WaveformAnalyzer {
  return new WaveformAnalyzer({
    entry: waveformWorkerEntry,
    maxWaiting: () => config().waveforms.maxWaiting,
    readTag: (tag) => pipeline.tag(tag),
    deps,
  });
}

/** Creates the sources. */
export function sourceParts({
  config,
  pipeline,
  kinds,
  register,
  history,
  waveforms,
  deps,
}: SourcePartsOptions & {
  readonly kinds: LoadedKinds;
  readonly register: TagRegister;
  readonly history: SampleHistoryStore;
  readonly waveforms: WaveformAnalyzer;
}): Parts<SourceConfig, Source> {
  return new Parts({
    section: 'sources',
    wanted: (next) => next.sources,
    create: (source: SourceConfig, id) =>
      kinds.createSource({
        id,
        config: source,
        tagNumbers: register.numbers(),
        bindTag: (pattern, name) => register.bind(id, pattern, name),
        sink: pipeline,
        stateFolder: dirname(config().outbox.path),
        history: sourceHistory(history),
        waveforms,
        deps,
      }),
  });
}

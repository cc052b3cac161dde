import { isPlainObject, valueAt } from './config-document.ts';
import type { CheckContext, Finding } from './config-finding.ts';
import { checkContext, error, warning } from './config-finding.ts';
import type { ModelLookup } from './config-model-checks.ts';
import { linkFindings } from './config-link-checks.ts';
import { modelFindings } from './config-model-checks.ts';
import { networkFindings } from './config-network-checks.ts';
import type { AgentConfig } from './config-schema.ts';
import { servingFindings } from './config-serving-checks.ts';
import { tagFindings } from './config-tag-checks.ts';
import { rolloutFindings } from './config-rollout-checks.ts';
import { watchFindings } from './config-watch-checks.ts';

/**
 * What is wrong, or likely not meant, between the sections of a configuration that are right by themselves.
 *
 * @param config The sound parts, paths absolute.
 * @param file The file as plain data, right or wrong: a tag that is declared wrongly is declared all the same.
 * @param models What is known of the models on disk.
 */
export function checkConfig(config: Partial<AgentConfig>, file: unknown, models: ModelLookup): readonly Finding[] {
  const context = checkContext(config, file);
  return [
    ...tagFindings(context),
    ...linkFindings(context),
    ...watchFindings(context),
    ...modelFindings(context, models),
    ...rolloutFindings(context, models),
    ...servingFindings(context, file, models),
    ...networkFindings(context),
    ...purposeFindings(context, file),
  ];
}

/** A box may watch machines, serve models, or both. */
function purposeFindings({ config: { watches, models, serving } }: CheckContext, file: unknown): readonly Finding[] {
  if (watches === undefined || models === undefined) return [];
  const isEmpty = (section: unknown): boolean => isPlainObject(section) && Object.keys(section).length === 0;
  // One that is wrong is none of the sound parts, and a source all the same.
  const sources = valueAt(file, ['sources']) ?? {};
  if (isEmpty(sources) && models.serve === 'none' && serving === undefined)
    return [error(['sources'], 'expected at least one source, or models to serve (serving, models.serve)')];
  if (isEmpty(sources) || !isEmpty(watches)) return [];
  return [warning(['watches'], 'no watches: values are read and kept, but nothing is judged and no alarm is raised')];
}

import { type PositionedData, isPlainObject, valueAt } from '../platform/positioned-document.ts';
import { type CheckContext, checkContext, error, type Finding, warning } from './config-finding.ts';
import { BOX_NAME } from '../fleet/fleet-names.ts';
import { auditFindings } from './config-audit-checks.ts';
import { modelFindings, type ModelLookup } from './config-model-checks.ts';
import { linkFindings } from './config-link-checks.ts';
import { networkFindings } from './config-network-checks.ts';
import { notifyFindings } from './config-notify-checks.ts';
import { outputFindings } from './config-output-checks.ts';
import type { AgentConfig } from './config-schema.ts';
import { servingFindings } from './config-serving-checks.ts';
import { tagFindings } from './config-tag-checks.ts';
import { rolloutFindings } from './config-rollout-checks.ts';
import { watchFindings } from './config-watch-checks.ts';

/**
 * Returns the problems between sections that are valid on their own, as errors and warnings.
 *
 * @param config Valid parts of the configuration, with absolute paths.
 * @param document The whole file, because a tag with an invalid definition still declares its name.
 * @param models Models found on disk.
 */
export function checkConfig(
  config: Partial<AgentConfig>,
  document: PositionedData,
  models: ModelLookup,
): readonly Finding[] {
  const file = document.value;
  const context = checkContext(config, file, (path) => document.textAt(path));
  return [
    ...tagFindings(context),
    ...linkFindings(context),
    ...watchFindings(context),
    ...modelFindings(context, models),
    ...rolloutFindings(context, models),
    ...servingFindings(context, file, models),
    ...networkFindings(context),
    ...outputFindings(context),
    ...notifyFindings(context),
    ...auditFindings(context),
    ...fleetFindings(context),
    ...purposeFindings(context, file),
  ];
}

/** Checks that the name of the agent can be the name of a box. */
function fleetFindings({ config: { agent, fleet } }: CheckContext): readonly Finding[] {
  if (fleet === undefined || agent === undefined || BOX_NAME.test(agent.id)) return [];
  return [error(['agent', 'id'], 'expected 1 to 64 letters, digits, - and _ with fleet: it is the name of the box')];
}

/** Checks that the configuration has a purpose: watches, served models, or both. */
function purposeFindings({ config: { watches, models, serving } }: CheckContext, file: unknown): readonly Finding[] {
  if (watches === undefined || models === undefined) return [];
  const isEmpty = (section: unknown): boolean => isPlainObject(section) && Object.keys(section).length === 0;
  // An invalid source is missing in the valid parts, but it still is a source.
  const sources = valueAt(file, ['sources']) ?? {};
  if (isEmpty(sources) && models.serve === 'none' && serving === undefined)
    return [error(['sources'], 'expected at least one source, or models to serve (serving, models.serve)')];
  if (isEmpty(sources) || !isEmpty(watches)) return [];
  return [
    warning(['watches'], 'no watches: samples are read and stored, but nothing is judged and no alarm is raised'),
  ];
}

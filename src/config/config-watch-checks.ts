import { formatDuration } from '../domain/duration.ts';
import { DETECTOR_ROWS_ADVISED, DETECTOR_ROWS_MIN } from '../domain/learning/rows-needed.ts';
import { matchesTemplate } from '../domain/sample/tag-template.ts';
import { limitLevels } from '../domain/alarm/limit-rule.ts';
import { limitsOf, type LimitsConfig } from '../pipeline/limit-config.ts';
import { inputsOf } from '../pipeline/derived-tags.ts';
import { LEARN_MS_DEFAULT, modelNameFor, type WatchConfig } from '../pipeline/watch-config.ts';
import { type CheckContext, type DeclaredTag, error, type Finding, warning } from './config-finding.ts';
import { nearest } from '../domain/nearest-word.ts';

/** Checks that the tags of expressions, watches, the publisher and the Sparkplug edge node exist, and that windows can be filled from them. */
export function watchFindings(context: CheckContext): readonly Finding[] {
  const watches = Object.entries(context.config.watches ?? {});
  return [
    ...derivedFindings(context),
    ...speedFindings(context),
    ...watches.flatMap(([id, watch]) => unknownWatchTags(id, watch, context)),
    ...watches.flatMap(([id, { alarm }]) => suppressionFindings(id, alarm?.suppressWhen?.tag, context)),
    ...watches.flatMap(([id, watch]) => ageFindings(id, watch, context)),
    ...watches.flatMap(([id, watch]) => scanFindings(id, watch, context)),
    ...watches.flatMap(([id, watch]) => learningFindings(id, watch)),
    ...Object.entries(context.config.limits ?? {}).flatMap(([tag, limits]) => limitFindings(tag, limits, context)),
    ...publishFindings(context),
  ];
}

function limitFindings(tag: string, limits: LimitsConfig, context: CheckContext): readonly Finding[] {
  const path = ['limits', tag];
  if (!context.declaredNames.has(tag)) return [error(path, unknownTag(tag, context), 'key')];
  const { suppressWhen } = limits;
  const rules = limitsOf(limits);
  if (rules.length === 0) return [error(path, `expected at least one of ${limitLevels.join(', ')}`)];
  const falling = rules.filter(({ level }) => level !== 'rateOfChange');
  const misplaced = falling.find(({ at }, index) => at >= (falling[index - 1]?.at ?? Infinity));
  return [
    ...(misplaced === undefined
      ? []
      : [
          error(
            [...path, misplaced.level],
            'expected lowLow < low < high < highHigh, or the alarm of another level is always active',
          ),
        ]),
    ...(suppressWhen === undefined || isPossible(suppressWhen.tag, context)
      ? []
      : [error([...path, 'suppressWhen', 'tag'], unknownTag(suppressWhen.tag, context))]),
  ];
}

/** Checks that the tags of expressions exist, and that no derived tag depends on itself. */
function derivedFindings(context: CheckContext): readonly Finding[] {
  const derived = Object.entries(context.config.derived ?? {});
  return derived.flatMap(([name, { expr }]) => {
    const path = ['derived', name, 'expr'];
    const unknown = inputsOf(expr).filter((input) => !isPossible(input, context));
    const cycle = cycleOf(name, context);
    return [
      ...unknown.map((input) => error(path, unknownTag(input, context))),
      ...(cycle === undefined ? [] : [error(path, `depends on itself: ${cycle.join(' → ')}`)]),
    ];
  });
}

/** Returns the tags from a derived tag back to itself; undefined if there is no such path. */
function cycleOf(name: string, { config }: CheckContext): readonly string[] | undefined {
  const visited = new Set<string>();
  const search = (here: string, path: readonly string[]): readonly string[] | undefined => {
    for (const input of inputsOf(config.derived?.[here]?.expr ?? '')) {
      if (input === name) return [...path, name];
      if (visited.has(input)) continue;
      visited.add(input);
      const found = search(input, [...path, input]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return search(name, [name]);
}

function publishFindings(context: CheckContext): readonly Finding[] {
  return (['publish', 'sparkplug'] as const).flatMap((section) => {
    const tags = context.config[section]?.tags;
    return Array.isArray(tags) ? unknownTags(tags, [section, 'tags'], context) : [];
  });
}

function unknownTags(tags: readonly string[], path: readonly string[], context: CheckContext): readonly Finding[] {
  return tags.flatMap((tag, index) =>
    isPossible(tag, context) ? [] : [error([...path, index], unknownTag(tag, context))],
  );
}

function unknownWatchTags(id: string, { mode, tags }: WatchConfig, context: CheckContext): readonly Finding[] {
  if (mode === undefined || isPossible(mode.tag, context)) return unknownTags(tags, ['watches', id, 'tags'], context);
  const others = tags.filter((tag) => tag !== mode.tag);
  return [
    ...unknownTags(others, ['watches', id, 'tags'], context),
    error(['watches', id, 'mode', 'tag'], unknownTag(mode.tag, context)),
  ];
}

function suppressionFindings(id: string, tag: string | undefined, context: CheckContext): readonly Finding[] {
  if (tag === undefined || isPossible(tag, context)) return [];
  return [error(['watches', id, 'alarm', 'suppressWhen', 'tag'], unknownTag(tag, context))];
}

/** Checks that the tags with the speed of machines exist. */
function speedFindings(context: CheckContext): readonly Finding[] {
  return Object.entries(context.config.sources ?? {}).flatMap(([source, { tags }]) =>
    Object.entries<object>(tags).flatMap(([name, tag]) => {
      const { speed } = { speed: undefined, ...tag };
      if (typeof speed !== 'string' || isPossible(speed, context)) return [];
      return [error(['sources', source, 'tags', name, 'speed'], unknownTag(speed, context))];
    }),
  );
}

/** Returns true if a source or an expression defines the tag, or a pattern can create it. */
function isPossible(tag: string, { declaredNames, declaredTemplates }: CheckContext): boolean {
  return declaredNames.has(tag) || declaredTemplates.some((template) => matchesTemplate(template, tag));
}

function unknownTag(tag: string, { declaredTags, declaredTemplates }: CheckContext): string {
  if (declaredTemplates.length === 0) return `no source has a tag '${tag}'${tagHint(tag, declaredTags)}`;
  const hint = declaredTags.length === 0 ? '' : tagHint(tag, declaredTags);
  return `no source has a tag '${tag}', and no pattern can create it${hint}`;
}

function tagHint(tag: string, declared: readonly DeclaredTag[]): string {
  if (declared.length === 0) return ': no source declares any tag';
  const names = [...new Set(declared.map(({ name }) => name))];
  const meant = nearest(tag, names) ?? names.find((name) => name.endsWith(`.${tag}`) || tag.endsWith(`.${name}`));
  if (meant !== undefined) return `; did you mean '${meant}'?`;
  return names.length <= 8 ? `; tags: ${names.join(', ')}` : '';
}

/** Default of `window.maxAge` in the pipeline: 5 s or three steps, whichever is longer. */
const MAX_AGE_MS_DEFAULT = 5_000;
const MAX_AGE_STEPS_DEFAULT = 3;

function ageFindings(id: string, { window, tags }: WatchConfig, context: CheckContext): readonly Finding[] {
  const stepMs = window.stepMs === 'scan' ? 0 : window.stepMs;
  const maxAgeMs = window.maxAgeMs ?? Math.max(MAX_AGE_MS_DEFAULT, MAX_AGE_STEPS_DEFAULT * stepMs);
  const slow = tags.filter((tag) => (context.scanIntervalMs.get(tag) ?? 0) > maxAgeMs);
  const slowest = slow.toSorted(
    (a, b) => (context.scanIntervalMs.get(b) ?? 0) - (context.scanIntervalMs.get(a) ?? 0),
  )[0];
  if (slowest === undefined) return [];
  const interval = formatDuration(context.scanIntervalMs.get(slowest) ?? 0);
  const given = window.maxAgeMs === undefined ? 'the default of ' : '';
  const others = slow.length > 1 ? ` (and ${slow.length - 1} more)` : '';
  const why = `${slowest}${others} is read every ${interval}, so it would count as missing between two scans`;
  return [
    error(
      ['watches', id, 'window', 'maxAge'],
      `${given}${formatDuration(maxAgeMs)} is too short: ${why}; use ${interval} or more`,
    ),
  ];
}

/** Warns of a time of learning that has too few rows. With `step: scan` the number of rows is not known. */
function learningFindings(id: string, { model, window, learn }: WatchConfig): readonly Finding[] {
  const { stepMs } = window;
  // A watch with a model of its own name learns; with another model and the default time, it probably has one.
  const learns = model.name === modelNameFor(id) || learn.forMs !== LEARN_MS_DEFAULT;
  if (stepMs === 'scan' || !learns) return [];
  const rows = Math.floor(learn.forMs / stepMs);
  if (rows >= DETECTOR_ROWS_ADVISED) return [];
  const given = `${formatDuration(learn.forMs)} with a row every ${formatDuration(stepMs)} gives ${rows} rows`;
  const advised = `use ${formatDuration(DETECTOR_ROWS_ADVISED * stepMs)} or more`;
  const why =
    rows < DETECTOR_ROWS_MIN
      ? `a model needs ${DETECTOR_ROWS_MIN}, so the watch never learns one`
      : `limits from fewer than ${DETECTOR_ROWS_ADVISED} rows give false and missed alarms`;
  return [warning(['watches', id, 'learn', 'for'], `${given}: ${why}; ${advised}`)];
}

function scanFindings(id: string, { window, tags }: WatchConfig, context: CheckContext): readonly Finding[] {
  if (window.stepMs !== 'scan') return [];
  const [first = ''] = tags;
  const sources = new Set(tags.flatMap((tag) => context.tags.get(tag)?.source ?? []));
  const intervals = new Set(tags.map((tag) => context.scanIntervalMs.get(tag)));
  const path = ['watches', id, 'window', 'step'];
  const rows = `with step: scan each scan of '${first}' makes a row, and the other tags keep the value of their last scan`;
  if (sources.size > 1) return [warning(path, `the tags come from ${sources.size} sources: ${rows}`)];
  return intervals.size > 1 ? [warning(path, `the tags have ${intervals.size} scan intervals: ${rows}`)] : [];
}

import * as z from 'zod';
import type { TagDefinition, TagPattern } from '../domain/sample/tag.ts';
import { parseTagTemplate } from '../domain/sample/tag-template.ts';
import { duration } from '../platform/config-fields.ts';

/** Fields of the tags of every source. */
export const tagFields = {
  unit: z.string().default('').describe('Engineering unit, for display'),
  range: z
    .tuple([z.number(), z.number()])
    .refine(([low, high]) => low < high, { error: 'expected [smallest, largest]' })
    .optional()
    .describe('Smallest and largest plausible value in engineering units. A value outside it is uncertain'),
  deadband: z.number().min(0).default(0).describe('Smallest change that is reported, in engineering units'),
  stuckAfter: duration(
    'A value that has not changed for this long becomes uncertain, because the sensor may be stuck',
    { minMs: 1_000 },
  ).optional(),
  stuckBand: z
    .number()
    .min(0)
    .default(0)
    .describe('For stuckAfter: a change of this size or less, in engineering units, does not count as a change'),
  scale: z
    .number({
      error: ({ input }) =>
        typeof input === 'string' && !Number.isFinite(Number(input.replace(',', '.')))
          ? `expected a number (derived: calculates with the value of another tag: { expr: "tag('power_raw') * 10 ^ tag('power_sf')" })`
          : '',
    })
    .default(1)
    .describe('Factor from the raw value to engineering units'),
  offset: z.number().default(0).describe('Value added after scaling, in engineering units'),
} as const;

/** Field `tags` of every source: tags by name, in the file or in the CSV file that the key `file` names. */
export function tagMap<Tag extends z.ZodType>(tag: Tag, tagsMin = 0) {
  const tags = z.record(z.string().min(1), tag).refine((map) => Object.keys(map).length >= tagsMin, {
    error: 'a source needs at least one tag',
  });
  return tags.meta({
    description: 'Tags by name',
    // The configuration reader replaces the key by the tags of the file.
    properties: {
      file: {
        type: 'string',
        description:
          'CSV file with tags, relative to this file: the column name, and a column for each key of a tag. Tags may also be given here next to it',
      },
    },
  });
}

/** Fields of the tags of sources whose values may be texts. */
export const textFields = {
  map: z
    .record(z.string(), z.number())
    .optional()
    .describe(
      'Numbers of texts: { RUN: 1, STOP: 0 }. Upper and lower case are the same. Numbers, and true and false in any case, need no map',
    ),
} as const;

/** Fields of every source. */
export const sourceFields = {
  history: z
    .enum(['watched', 'all'])
    .default('watched')
    .describe(
      'Tags kept in the sample history: those of watches, or all tags of the source. `andon plan` prints the space that they need a day',
    ),
} as const;

/** Fields of the patterns of every source that has them. */
export const patternFields = {
  tag: z
    .string()
    .min(1)
    .refine((text) => parseTagTemplate(text) !== undefined, {
      error: 'expected a template for tag names, such as {asset}.{name}',
    })
    .describe('Template for tag names; each {place} is replaced by the matched text: {asset}.{name}'),
  maxTags: z
    .int()
    .min(1)
    .max(100_000)
    .default(1000)
    .describe('Most tags that the pattern may create. Further matches are ignored, counted and reported in health'),
} as const;

type TagConfig = {
  readonly unit: string;
  readonly range?: readonly [number, number] | undefined;
  readonly deadband: number;
  readonly stuckAfterMs?: number | undefined;
  readonly stuckBand: number;
};
type PatternConfig = TagConfig & { readonly tag: string; readonly maxTags: number };

/** Returns the rules for the values of a tag, from the fields that all sources share. */
export function tagRules({ unit, range, deadband, stuckAfterMs, stuckBand }: TagConfig): Omit<TagDefinition, 'name'> {
  const stuck = stuckAfterMs === undefined ? undefined : { afterMs: stuckAfterMs, band: stuckBand };
  return { unit, range, deadband, stuck };
}

/** Returns the tags of `tags:`. */
export function tagDefinitions(config: {
  readonly tags: Readonly<Record<string, TagConfig>>;
}): readonly TagDefinition[] {
  return Object.entries(config.tags).map(([name, fields]) => ({ name, ...tagRules(fields) }));
}

/** Returns the patterns of `patterns:`. */
export function patternDefinitions(config: {
  readonly patterns: Readonly<Record<string, PatternConfig>>;
}): readonly TagPattern[] {
  return Object.entries(config.patterns).map(([pattern, fields]) => ({
    pattern,
    template: fields.tag,
    tagsMax: fields.maxTags,
    ...tagRules(fields),
  }));
}

/** Refinement: a source with `tags` and `patterns` needs at least one of either. */
export function checkHasTags(
  config: { readonly tags: object; readonly patterns: object },
  context: { addIssue(issue: { code: 'custom'; path: PropertyKey[]; message: string; input: unknown }): void },
): void {
  if (Object.keys(config.tags).length + Object.keys(config.patterns).length > 0) return;
  const message = 'a source needs at least one tag or pattern';
  context.addIssue({ code: 'custom', path: ['tags'], message, input: config });
}

import type * as z from 'zod';
import { formatDuration } from '../domain/duration.ts';
import {
  type ConfigPath,
  type DocumentProblem,
  isPlainObject,
  type PositionedData,
  valueAt,
} from '../platform/positioned-document.ts';
import { expectedOf, hintFor, textOf } from './config-expectations.ts';
import {
  branches,
  chosenBranches,
  fieldKind,
  type KeyLocation,
  keyLocations,
  mayHoldSecret,
  schemaAt,
  type SchemaNode,
} from './config-json-schema.ts';
import { nearest } from '../domain/nearest-word.ts';
import { nearestKey } from './files/config-suggestions.ts';

type Issue = z.core.$ZodIssue;

const SECRET_REFERENCE = '{ env: NAME } or { file: PATH }';

/** Most problems reported in one run. A file with more is probably not a configuration. */
export const PROBLEMS_MAX = 500;

/**
 * Turns the issues of the schema into messages with their position in the file: expected value, found value and a
 * hint.
 *
 * Parse with `noDefaultMessages`: an empty issue text marks a field without an error text of its own.
 */
export class ConfigMessages {
  readonly #document: PositionedData;
  readonly #schema: SchemaNode;
  readonly #keyLocations: readonly KeyLocation[];

  constructor(document: PositionedData, schema: SchemaNode) {
    this.#document = document;
    this.#schema = schema;
    this.#keyLocations = keyLocations(schema);
  }

  problems(issues: readonly Issue[]): readonly DocumentProblem[] {
    // Only the first problem at a position is reported, because the others follow from it. This includes a value
    // that several entries share through an alias.
    const found = new Map<string, DocumentProblem>();
    for (const issue of issues) {
      for (const problem of this.#problemsOf(issue, pathOf(issue))) {
        const position = `${problem.file ?? ''}:${problem.line}:${problem.column}:${problem.path.at(-1) ?? ''}`;
        if (!found.has(position)) found.set(position, problem);
      }
      if (found.size > PROBLEMS_MAX) break;
    }
    return [...found.values()];
  }

  #problemsOf(issue: Issue, path: ConfigPath): readonly DocumentProblem[] {
    if (issue.code === 'unrecognized_keys')
      return issue.keys
        .slice(0, PROBLEMS_MAX + 1)
        .map((key) => this.#at([...path, key], 'key', this.#unknownKey(path, key)));
    if (issue.code === 'invalid_key') return [this.#at(path, 'key', this.#invalidName(issue, path))];
    const value = valueAt(this.#document.value, path);
    if (value === undefined) return [this.#at(path, 'key', this.#missing(issue, path))];
    if (issue.code === 'invalid_union') {
      const inside = unionIssues(issue);
      if (inside !== undefined) return inside.flatMap((inner) => this.#problemsOf(inner, [...path, ...pathOf(inner)]));
    }
    return [this.#at(path, 'value', this.#wrongValue(issue, path, value))];
  }

  #wrongValue(issue: Issue, path: ConfigPath, value: unknown): string {
    const node = schemaAt(this.#schema, path, this.#document.value);
    const types = discriminatorOptions(issue);
    if (types !== undefined) {
      const meant = typeof value === 'string' ? nearest(value, types) : undefined;
      return `unknown type ${textOf(value)}: expected ${listed(types)}${meant === undefined ? '' : `; did you mean ${meant}?`}`;
    }
    // The message of a rule over several fields is complete.
    if (issue.code === 'custom' && !/^(expected|must) /.test(issue.message)) return issue.message;
    if (node !== undefined && fieldKind(node) === 'secret') return secretMessage(value);
    if (node !== undefined && mayHoldSecret(node)) return `${expectedPhrase(node)} (the value found is not shown)`;
    const expected = issue.message === '' ? expectedPhrase(node) : inOwnUnits(issue.message, node);
    return `${expected}, found ${textOf(value)}${node === undefined ? '' : hintFor(node, value)}`;
  }

  #missing(issue: Issue, path: ConfigPath): string {
    if (issue.code === 'custom') return issue.message;
    const types = discriminatorOptions(issue);
    if (types !== undefined) return `required and missing: expected ${listed(types)}`;
    const node = schemaAt(this.#schema, path, this.#document.value);
    const expected = node === undefined ? '' : `: expected ${expectedOf(node)}`;
    const description = node?.description === undefined ? '' : ` (${firstSentence(node.description)})`;
    return `required and missing${expected}${description}`;
  }

  #invalidName(issue: Issue, path: ConfigPath): string {
    const texts = issue.code === 'invalid_key' ? issue.issues.map(({ message }) => message) : [];
    const own = texts.find((text) => text !== '');
    const name = textOf(path.at(-1));
    return `${name} is not a valid name here: ${own ?? 'it has characters that are not allowed'}`;
  }

  #unknownKey(path: ConfigPath, key: string): string {
    const node = schemaAt(this.#schema, path, this.#document.value);
    const value = valueAt(this.#document.value, path);
    const isPresent = (name: string) => isPlainObject(value) && Object.hasOwn(value, name);
    const known =
      node === undefined ? [] : chosenBranches(node, value).flatMap(({ properties }) => Object.keys(properties ?? {}));
    const absent = known.filter((name) => !isPresent(name));
    const meant = nearestKey(key, absent) ?? nearestKey(key, known);
    if (meant !== undefined)
      return `unknown key '${key}': did you mean '${meant}'${isPresent(meant) ? ', which is already set here' : ''}?`;
    const elsewhere = this.#elsewhere(key);
    return `unknown key '${key}': ${elsewhere}expected ${listed(known)}`;
  }

  /** Returns the sections that a misplaced key belongs to, for instance one level up. */
  #elsewhere(key: string): string {
    const all = this.#keyLocations;
    const meant = nearest(key, [...new Set(all.map((location) => location.key))]);
    const locations = [...new Set(all.filter((location) => location.key === meant).map(({ location }) => location))];
    if (meant === undefined || locations.length === 0) return '';
    const shown = locations.slice(0, 3);
    const more = locations.length > shown.length ? ` and ${locations.length - shown.length} more` : '';
    return `it belongs to ${shown.join(', ')}${more}; `;
  }

  #at(path: ConfigPath, at: 'key' | 'value', message: string): DocumentProblem {
    return { ...this.#document.position(path, at), path, message };
  }
}

/** Option `error` for zod: an empty text marks an issue that `ConfigMessages` formulates. */
export function noDefaultMessages(): string {
  return '';
}

function pathOf(issue: Issue): ConfigPath {
  return issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
}

/** Returns the issues of the branch that the value is meant for: the only branch whose outer form matches. */
function unionIssues(issue: Issue): readonly Issue[] | undefined {
  if (issue.code !== 'invalid_union' || issue.message !== '') return undefined;
  const meant = issue.errors.filter((issues) =>
    issues.every(({ path, code }) => path.length > 0 || code === 'unrecognized_keys'),
  );
  return meant.length === 1 ? meant[0] : undefined;
}

function discriminatorOptions(issue: Issue): readonly string[] | undefined {
  if (issue.code !== 'invalid_union' || issue.discriminator === undefined) return undefined;
  // zod 4.6 sets `options`, but the type of the issue does not have it.
  return 'options' in issue && Array.isArray(issue.options) ? issue.options.map(String) : undefined;
}

/** Message for a secret that is in the configuration itself. */
export const SECRET_IN_CLEAR = `expected ${SECRET_REFERENCE}: a secret must not be in the configuration (the value found is not shown; replace it if others could read it)`;

function secretMessage(value: unknown): string {
  if (!isPlainObject(value)) return SECRET_IN_CLEAR;
  return `expected ${SECRET_REFERENCE}, found a map with ${listed(Object.keys(value)) || 'nothing in it'}`;
}

function expectedPhrase(node: SchemaNode | undefined): string {
  return node === undefined ? 'not valid' : `expected ${expectedOf(node)}`;
}

/** Writes the limits of durations in the user's notation: '1d' instead of '86400000 ms'. */
function inOwnUnits(message: string, node: SchemaNode | undefined): string {
  const isDuration = node !== undefined && branches(node).some((branch) => fieldKind(branch) === 'duration');
  return isDuration ? message.replaceAll(/\b(\d+) ms\b/g, (_, ms: string) => formatDuration(Number(ms))) : message;
}

function firstSentence(text: string): string {
  return text.replaceAll(/\s*\([^)]*\)/g, '').split(/[.;]\s/)[0] ?? text;
}

/** `a`, `a or b`, `a, b or c`. */
function listed(names: readonly string[], word = 'or'): string {
  const unique = [...new Set(names)];
  const last = unique.at(-1) ?? '';
  return unique.length < 2 ? last : `${unique.slice(0, -1).join(', ')} ${word} ${last}`;
}

import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { errorCatalogues, metricCatalogues } from '../../src/app/catalogue.ts';
import { processMetrics } from '../../src/cli/output/process-metrics.ts';

/*
 * Codes and metric names are an interface: alerts and runbooks are written against them. What is thrown or counted must be
 * in a catalogue, and what is in a catalogue must be thrown or counted. Read from the text of the sources, with canaries.
 */
const source = resolve(import.meta.dirname, '../../src');

type SourceFile = { readonly path: string; readonly text: string };

const files: readonly SourceFile[] = readdirSync(source, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => join(entry.parentPath, entry.name))
  .map((path) => ({ path: relative(source, path), text: readFileSync(path, 'utf8') }));

const documentedErrors = errorCatalogues.flatMap(({ catalogue }) => Object.entries(catalogue));
const documentedMetrics = [...metricCatalogues.map(({ catalogue }) => catalogue), processMetrics].flatMap(Object.keys);

/** Codes thrown with `new OperatingError('code', …)`, a subclass, or a folder's own `…Failure('code', …)`. */
function thrownCodes(text: string): readonly string[] {
  return [...text.matchAll(/\b(?:new \w+Error|\w+Failure)\(\s*'([a-z0-9]+(?:-[a-z0-9]+)+)'/g)].flatMap(
    (match) => match[1] ?? [],
  );
}

/** `new OperatingError('code', 'retry'`: both, if they are next to each other. */
function thrownDispositions(text: string): readonly (readonly [string, string])[] {
  return [...text.matchAll(/new OperatingError\(\s*'([a-z0-9-]+)',\s*'(retry|reject)'/g)].map((match) => [
    match[1] ?? '',
    match[2] ?? '',
  ]);
}

describe('error codes', () => {
  const known = new Map(documentedErrors);

  test('each code stands in one catalogue only', () => {
    const codes = documentedErrors.map(([code]) => code);
    expect(codes.filter((code, index) => codes.indexOf(code) !== index)).toEqual([]);
  });

  test('what is thrown is documented', () => {
    expect(thrownCodes("throw new OperatingError(\n 'link-lost', 'retry')"), 'canary').toEqual(['link-lost']);
    const unknown = files
      .flatMap(({ path, text }) => thrownCodes(text).map((code) => `${path}: ${code}`))
      .filter((entry) => !known.has(entry.split(': ')[1] ?? ''));
    expect(unknown).toEqual([]);
  });

  test('what is documented is thrown', () => {
    // The catalogue's own line has the code as a key; any other place has it as a text, or in front of a reason.
    const used = (code: string) => files.some(({ text }) => new RegExp(`'${code}'(?!:)|\`${code}: `).test(text));
    expect(used('no-such-code'), 'canary').toBe(false);
    expect([...known.keys()].filter((code) => !used(code))).toEqual([]);
  });

  test('the documented disposition is the one thrown', () => {
    const wrong = files.flatMap(({ path, text }) =>
      thrownDispositions(text)
        .filter(([code, disposition]) => known.has(code) && known.get(code)?.disposition !== disposition)
        .map(([code, disposition]) => `${path}: ${code} is thrown as ${disposition}`),
    );
    expect(wrong).toEqual([]);
  });
});

describe('metrics', () => {
  test('each name stands in one catalogue only', () => {
    expect(documentedMetrics.filter((name, index) => documentedMetrics.indexOf(name) !== index)).toEqual([]);
  });

  test('what is counted is documented, and what is documented is counted', () => {
    const named = (text: string) => [...text.matchAll(/\b(andon|nv_inference)_[a-z0-9_]+/g)].map(([name]) => name);
    const uses = files.flatMap(({ path, text }) => named(text).map((name) => ({ path, name })));
    const known = new Set(documentedMetrics);
    expect(uses.filter(({ name }) => !known.has(name)).map(({ path, name }) => `${path}: ${name}`)).toEqual([]);
    // Once in its definition, and once more in the code that counts it.
    const times = (name: string) => uses.filter((use) => use.name === name).length;
    expect(documentedMetrics.filter((name) => times(name) < 2)).toEqual([]);
  });

  test('names end as their unit asks for', () => {
    const metrics = [...metricCatalogues.map(({ catalogue }) => catalogue), processMetrics].flatMap((catalogue) =>
      Object.entries(catalogue),
    );
    // Triton's names are as Triton has them.
    const ours = metrics.filter(([name]) => !name.startsWith('nv_inference_'));
    const wrong = ours.filter(
      ([name, { type }]) =>
        (type === 'counter') !== name.endsWith('_total') ||
        (type === 'histogram' && !/_(seconds|bytes|rows|records|windows)$/.test(name)),
    );
    expect(wrong.map(([name]) => name)).toEqual([]);
  });
});

describe('catalogues', () => {
  test('every catalogue in the sources is in the docs', () => {
    const names = files.flatMap(({ text }) =>
      [...text.matchAll(/export const (\w+(?:Errors|Metrics)) = \{/g)].flatMap((match) => match[1] ?? []),
    );
    const text = ['app/catalogue.ts', 'cli/output/process-metrics.ts']
      .map((path) => files.find((file) => file.path === path)?.text ?? '')
      .join('\n');
    expect(names.length).toBeGreaterThan(10);
    expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(text))).toEqual([]);
  });
});

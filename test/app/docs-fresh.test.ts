import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { configurationDocs, withCommentedKeys } from '../../scripts/configuration-docs.ts';
import { generatedDocs } from '../../scripts/make-docs.ts';
import { keyLocations, configJsonSchema } from '../../src/config/config-json-schema.ts';

const root = resolve(import.meta.dirname, '../..');

describe('the docs say what the code does', () => {
  test.each([...generatedDocs()])('%s is fresh (npm run docs makes it so)', (path, text) => {
    expect(readFileSync(join(root, path), 'utf8')).toBe(text);
  });

  test('every key of the configuration has a description', () => {
    const silent = keyLocations(configJsonSchema())
      .filter(({ key, node }) => key !== 'type' && key !== 'env' && key !== 'file' && node.description === undefined)
      .map(({ location }) => location);
    expect(silent).toEqual([]);
  });

  test('examples come from the example file, those of its commented lines, too', () => {
    const docs = configurationDocs(readFileSync(join(root, 'config/andon.yaml'), 'utf8'));
    expect(docs).toContain('`<id>.compression` | one of none, gzip | `none` | `gzip` |');
  });

  test('only keys are taken out of comments', () => {
    expect(withCommentedKeys('# Times are 100ms: so be it\n# uplinks:\n#   lake: {}\na: 1 # b: 2\n')).toBe(
      '# Times are 100ms: so be it\nuplinks:\n  lake: {}\na: 1 # b: 2\n',
    );
  });
});

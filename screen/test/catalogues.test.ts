import { expect, test } from 'vitest';
import { de } from '../src/texts/de.ts';
import { en, type TextKey } from '../src/texts/en.ts';
import { zh } from '../src/texts/zh.ts';

const placeholders = (text: string) => new Set(Array.from(text.matchAll(/\{(\w+)\}/g), ([, name]) => name));

test.each([
  { language: 'German', catalogue: de },
  { language: 'Chinese', catalogue: zh },
])('a text in $language has the placeholders of the English one', ({ catalogue }) => {
  const keys = Object.keys(en) as TextKey[];
  const wrong = keys.filter((key) => placeholders(en[key]).symmetricDifference(placeholders(catalogue[key])).size > 0);
  expect(wrong).toEqual([]);
});

import { expect, test } from 'vitest';
import { de } from '../src/texts/de.ts';
import { en, type TextKey } from '../src/texts/en.ts';
import { zh } from '../src/texts/zh.ts';

const placeholders = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

test.each([
  { language: 'German', catalogue: de },
  { language: 'Chinese', catalogue: zh },
])('a text in $language has the placeholders of the English one', ({ catalogue }) => {
  const keys = Object.keys(en) as TextKey[];
  const wrong = keys.filter((key) => placeholders(en[key]).join() !== placeholders(catalogue[key]).join());
  expect(wrong).toEqual([]);
});

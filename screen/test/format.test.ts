import { expect, test } from 'vitest';
import { formatNumber } from '../src/texts/format.ts';
import { useLanguage } from '../src/texts/language.ts';

test.each([
  [null, '–'],
  [0, '0'],
  [0.123456, '0.1235'],
  [999.96, '1000'],
  [12_345_678.4, '12345678'],
  [-40_000, '-40000'],
  [5e-324, '5E-324'],
  [1.234567e18, '1.235E18'],
])('%s has the text %s', async (value, text) => {
  await useLanguage('en');
  expect(formatNumber(value)).toBe(text);
});

import { expect, test } from 'vitest';
import { wallLayout } from '../src/kiosk/wall-layout.ts';

const names = (count: number, length: number) => Array.from({ length: count }, () => 'm'.repeat(length));

test.each([
  { count: 1, length: 8, area: { width: 1900, height: 900 }, columns: 1 },
  { count: 12, length: 11, area: { width: 1900, height: 800 }, columns: 3 },
  { count: 12, length: 11, area: { width: 800, height: 1900 }, columns: 1 },
  { count: 100, length: 5, area: { width: 1900, height: 800 }, columns: 10 },
])('$count names of $length characters on $area.width × $area.height px have $columns columns', (wall) => {
  expect(wallLayout(names(wall.count, wall.length), wall.area).columns).toBe(wall.columns);
});

test('a longer name gets smaller text, down to that of 24 characters', () => {
  const area = { width: 1900, height: 800 };
  const share = (length: number) => wallLayout(names(3, length), area).nameShare;
  expect(share(20)).toBeLessThan(share(10));
  expect(share(60)).toBe(share(24));
});

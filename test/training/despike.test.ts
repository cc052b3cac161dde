import { expect, test } from 'vitest';
import { despike } from '../../src/training/core/despike.ts';
import { quantile } from '../../src/training/core/statistics.ts';
import { trainingRows } from '../../src/training/core/training-rows.ts';

test('a single spike becomes the median around it, and nothing else changes', () => {
  const values = Array.from({ length: 50 }, (_, row) => [Math.sin(row / 3)]);
  const spiked = values.map((row, index) => (index === 20 ? [50] : row));
  const cleaned = Array.from(despike(trainingRows(spiked)).values);
  expect(cleaned[20]).toBeCloseTo(Math.sin(20 / 3), 0);
  expect(cleaned.filter((value, row) => value !== values[row]?.[0])).toHaveLength(1);
});

test('a quantised sensor that mostly stands still keeps its rare steps', () => {
  const rows = trainingRows(Array.from({ length: 60 }, (_, row) => [row === 30 ? 21 : 20]));
  expect(despike(rows).values).toEqual(rows.values);
});

test('a lasting change of level is not a spike', () => {
  const rows = trainingRows(Array.from({ length: 60 }, (_, row) => [(row < 30 ? 0 : 40) + Math.sin(row)]));
  const cleaned = despike(rows).values;
  expect(cleaned[10]).toBeLessThan(2);
  expect(cleaned[50]).toBeGreaterThan(38);
});

test('a quantile lies between the two nearest values', () => {
  expect(quantile(Float64Array.of(3, 1, 2, 4), 0.5)).toBe(2.5);
  expect(quantile(Float64Array.of(5, 1), 1)).toBe(5);
  expect(quantile(Float64Array.of(), 0.5)).toBeNaN();
});

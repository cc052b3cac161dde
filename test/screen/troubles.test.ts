import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { deTroubles } from '../../screen/src/texts/de-troubles.ts';
import { enMessages } from '../../screen/src/texts/en-messages.ts';
import { errorCatalogues } from '../../src/app/catalogue.ts';
import { unknownReasonCodes } from '../../src/domain/alarm/unknown-reasons.ts';

/** Parts of andon whose errors become reasons of health. */
const parts = new Set([
  'Modbus sources',
  'MQTT, as source, publisher and uplink',
  'OPC UA sources',
  'Uplinks',
  'Outputs',
  'Notifications',
]);

/** Errors of these parts that answer a request of a person, and messages that are only counted. */
const neverInHealth = [
  'modbus-browser-busy',
  'sparkplug-payload-invalid',
  'mqtt-browser-busy',
  'mqtt-browse-failed',
  'opcua-browse-failed',
  'opcua-browser-busy',
];

const known = new Set(errorCatalogues.flatMap(({ catalogue }) => Object.keys(catalogue)));
const translated = Object.keys(deTroubles);

test('each error that health can have as its reason is translated', () => {
  const codes = errorCatalogues
    .filter(({ title }) => parts.has(title))
    .flatMap(({ catalogue }) => Object.keys(catalogue));
  expect(codes.length).toBeGreaterThan(50);
  expect(codes.filter((code) => !translated.includes(code))).toEqual(neverInHealth);
});

test('each code that a component reports itself is translated, and each translation has a code', () => {
  const folder = join(import.meta.dirname, '../../src');
  const text = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n');
  // The last argument of a report, if it is a literal.
  const reports = Array.from(text.matchAll(/report\(\s*'(?:ok|degraded|failed)',(?:(?!\);)[^])*?'([a-z-]+)',?\s*\);/g));
  const own = new Set(reports.map(([, code]) => code ?? ''));
  expect(own.size).toBeGreaterThan(8);
  expect([...own].filter((code) => !translated.includes(code))).toEqual([]);
  expect(translated.filter((code) => !known.has(code) && !text.includes(`'${code}'`))).toEqual([]);
});

test('each reason of an unknown verdict is translated', () => {
  expect(unknownReasonCodes.filter((code) => !Object.hasOwn(enMessages, `reason.${code}`))).toEqual([]);
});

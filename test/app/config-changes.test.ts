import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { changedKeys, configChanges } from '../../src/app/config-changes.ts';
import { type AgentConfig, configSchema } from '../../src/config/config-schema.ts';

const tag = (address: number, more: object = {}) => ({ register: 'holding', address, type: 'uint16', ...more });

const base = {
  agent: { id: 'edge' },
  sources: {
    plc: { type: 'modbus', url: 'tcp://10.0.0.1', tags: { level: tag(0), flow: tag(1), spare: tag(2) } },
    cell: {
      type: 'mqtt',
      url: 'mqtt://b',
      tags: { speed: { topic: 'a/speed' } },
      patterns: { any: { topic: 'a/{asset}/{name}', tag: '{asset}.{name}' } },
    },
  },
  derived: { double: { expr: "tag('flow') * 2" }, quad: { expr: "tag('double') * 2" } },
  models: { directory: '/models' },
  watches: {
    tank: { model: 'a', tags: ['level'] },
    pipe: { model: 'b', tags: ['quad'] },
    line: { model: 'c', tags: ['pump.rms', 'speed'] },
  },
  limits: { level: { high: 5 }, flow: { low: 1 } },
  uplinks: { cloud: { type: 'http', url: 'https://cloud' } },
  publish: { type: 'mqtt', url: 'mqtt://b' },
  outbox: { path: '/data/outbox.db' },
};

type Sections = typeof base;

function parsed(sections: object): AgentConfig {
  return configSchema.parse(sections);
}

/** Changes from the base to a copy of it that `edit` changed. */
function changesOf(edit: (sections: Sections) => object) {
  return configChanges(parsed(base), parsed(edit(structuredClone(base))));
}

const withPlc = (sections: Sections, plc: object) => ({
  ...sections,
  sources: { ...sections.sources, plc: { ...sections.sources.plc, ...plc } },
});

describe('a change of a source', () => {
  test('touches the watches of a tag whose definition changed, also through derived tags', () => {
    const tags = { ...base.sources.plc.tags, flow: tag(1, { scale: 0.1 }) };
    const changes = changesOf((sections) => withPlc(sections, { tags }));
    expect(changes.sources.changed).toEqual(new Set(['plc']));
    expect(changes.tags).toEqual(new Set(['flow', 'double', 'quad']));
    expect(changes.watches.changed).toEqual(new Set(['pipe']));
    expect(changes.watches.untouched).toEqual(new Set(['tank', 'line']));
    expect(changes.limits.changed).toEqual(new Set(['flow']));
    expect(changes.limits.untouched).toEqual(new Set(['level']));
  });

  test('touches no watch if it only adds or removes other tags, or keeps more history', () => {
    const { spare: _spare, ...tags } = base.sources.plc.tags;
    const changes = changesOf((sections) => withPlc(sections, { tags: { ...tags, more: tag(9) }, history: 'all' }));
    expect(changedKeys(changes)).toEqual(['sources.plc']);
    expect(changes.tags).toEqual(new Set(['spare', 'more']));
    expect(changes.watches.changed).toEqual(new Set());
  });

  test('touches every watch of the source if it changes the connection', () => {
    const changes = changesOf((sections) => withPlc(sections, { url: 'tcp://10.0.0.2' }));
    expect(changes.watches.changed).toEqual(new Set(['tank', 'pipe']));
  });

  test('touches the watches of a pattern that changed', () => {
    const patterns = { any: { ...base.sources.cell.patterns.any, scale: 2 } };
    const changes = changesOf((sections) => ({
      ...sections,
      sources: { ...sections.sources, cell: { ...sections.sources.cell, patterns } },
    }));
    expect(changes.tags).toEqual(new Set(['pump.rms']));
    expect(changes.watches.changed).toEqual(new Set(['line']));
  });
});

test('entries that are new, gone or changed are named, and sections of one part', () => {
  const changes = changesOf((sections) => ({
    ...sections,
    watches: { tank: { ...sections.watches.tank, alarm: {} }, line: sections.watches.line, extra: { tags: ['flow'] } },
    http: { listen: '127.0.0.1:9000' },
    publish: undefined,
  }));
  expect(changes.watches).toEqual({
    added: new Set(['extra']),
    removed: new Set(['pipe']),
    changed: new Set(['tank']),
    untouched: new Set(['line']),
  });
  expect(changes.parts).toEqual(new Set(['publish', 'http']));
  expect(changes.restart).toEqual([]);
});

test('uplinks that are new, gone or take other records restart nothing else', () => {
  const uplinks = { cloud: { ...base.uplinks.cloud, records: ['alarm'] }, lake: base.uplinks.cloud };
  const changes = changesOf((sections) => ({ ...sections, uplinks }));
  expect(changedKeys(changes)).toEqual(['uplinks.lake', 'uplinks.cloud']);
  expect(changes.restart).toEqual([]);
  expect(changesOf((sections) => ({ ...sections, uplinks: {} })).restart).toEqual([]);
});

test.each([
  ['agent.id', (sections: Sections) => ({ ...sections, agent: { id: 'other' } })],
  ['agent.location', (sections: Sections) => ({ ...sections, agent: { ...sections.agent, location: 'lyon' } })],
  ['outbox.path', (sections: Sections) => ({ ...sections, outbox: { path: '/other/outbox.db' } })],
  ['outbox.maxSize', (sections: Sections) => ({ ...sections, outbox: { ...sections.outbox, maxSize: '3GB' } })],
  ['models.directory', (sections: Sections) => ({ ...sections, models: { directory: '/other' } })],
])('%s restarts all parts', (key, edit) => {
  expect(changesOf(edit).restart).toEqual([key]);
});

test('a section that nothing knows how to change alone restarts all parts', () => {
  const later = { ...parsed(base), later: { key: 1 } };
  expect(configChanges(parsed(base), later).restart).toEqual(['later.key']);
});

/** Configurations that differ from the base at some of these places. */
const variant = fc
  .record({
    id: fc.constantFrom('edge', 'other'),
    unitId: fc.constantFrom(1, 2),
    scale: fc.constantFrom(1, 2),
    watch: fc.constantFrom('tank', 'renamed'),
    threshold: fc.constantFrom('model', 3),
    expr: fc.constantFrom("tag('flow') * 2", "tag('flow') * 3"),
    high: fc.constantFrom(5, 6),
    url: fc.constantFrom('https://cloud', 'https://other'),
    listen: fc.constantFrom('127.0.0.1:8080', '127.0.0.1:9000'),
    level: fc.constantFrom('info', 'debug'),
    diagnostic: fc.constantFrom('off', { after: '1m' }),
    sparkplug: fc.constantFrom(undefined, { url: 'mqtt://b', group: 'g' }),
    serving: fc.constantFrom(undefined, {}),
    revertAfter: fc.constantFrom('30s', 'never'),
    maxSize: fc.constantFrom('2GB', '3GB'),
    quarantine: fc.constantFrom('1h', '2h'),
  })
  .map((at) => {
    const { plc, cell } = base.sources;
    const { tank, ...watches } = base.watches;
    return parsed({
      ...base,
      agent: { id: at.id },
      sources: { cell, plc: { ...plc, unitId: at.unitId, tags: { ...plc.tags, flow: tag(1, { scale: at.scale }) } } },
      derived: { ...base.derived, double: { expr: at.expr } },
      models: { ...base.models, quarantine: { retryAfter: at.quarantine } },
      watches: { ...watches, [at.watch]: { ...tank, alarm: { threshold: at.threshold } } },
      limits: { ...base.limits, level: { high: at.high } },
      uplinks: { cloud: { type: 'http', url: at.url } },
      http: { listen: at.listen },
      log: { level: at.level },
      alarms: { diagnostic: at.diagnostic },
      ...(at.sparkplug === undefined ? {} : { sparkplug: at.sparkplug }),
      ...(at.serving === undefined ? {} : { serving: at.serving }),
      reload: { revertAfter: at.revertAfter },
      outbox: { ...base.outbox, maxSize: at.maxSize },
    });
  });

test('of equal configurations nothing changes; of others each section that differs is named, forth and back', () => {
  fc.assert(
    fc.property(variant, variant, (before, after) => {
      expect(changedKeys(configChanges(before, structuredClone(before)))).toEqual([]);
      const named = (keys: readonly string[]) => new Set(keys.map((key) => key.split('.')[0]));
      const sections = Object.keys({ ...before, ...after }) as (keyof AgentConfig)[];
      const different = sections.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]));
      const forth = changedKeys(configChanges(before, after));
      expect([...named(forth)]).toEqual(expect.arrayContaining(different));
      expect(new Set(changedKeys(configChanges(after, before)))).toEqual(new Set(forth));
    }),
  );
});

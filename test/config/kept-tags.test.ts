import { expect, test } from 'vitest';
import { keptTags } from '../../src/config/config-tags.ts';
import type { AgentConfig } from '../../src/config/config-schema.ts';

test('the history keeps the tags of watches, those that suppress their alarms, and all tags of a source that says so', () => {
  const config = {
    sources: { plc: { history: 'watched' }, cell: { history: 'all' } },
    watches: { pump: { tags: ['pump.pressure'], alarm: { suppressWhen: { tag: 'pump.running', below: 1 } } } },
  } as unknown as Pick<AgentConfig, 'sources' | 'watches'>;
  const isKept = keptTags(config);
  const tags = [
    { name: 'pump.pressure', source: 'plc' },
    { name: 'pump.current', source: 'plc' },
    { name: 'pump.running', source: 'plc' },
    { name: 'fan.current', source: 'cell' },
  ];
  expect(tags.filter(isKept).map(({ name }) => name)).toEqual(['pump.pressure', 'pump.running', 'fan.current']);
});

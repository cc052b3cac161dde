import { expect, test } from 'vitest';
import { protectedChanges } from '../../src/config-editing/protected-keys.ts';
import { PositionedDocument } from '../../src/platform/positioned-document.ts';

const former = `agent: { id: edge }
sources:
  cell: { type: mqtt, url: 'mqtt://broker', password: { env: BROKER }, tags: { file: cell.csv } }
uplinks:
  lake: { type: http, url: 'https://lake', headers: { a: { file: lake } } }
models: { directory: models, trust: { keys: [plant.pub] } }
outbox: { path: a.db, maxSize: 2GB }
http: { listen: '127.0.0.1:8080', users: users.yaml }
`;

function refused(next: string): readonly string[] {
  return protectedChanges(new PositionedDocument(former).value, new PositionedDocument(next)).map(
    ({ path, line }) => `${line} ${path.join('.')}`,
  );
}

test.each<readonly [string, string, string, readonly string[]]>([
  [
    'another order of keys',
    'directory: models, trust: { keys: [plant.pub] }',
    'trust: { keys: [plant.pub] }, directory: models',
    [],
  ],
  ['another model directory', 'directory: models', 'directory: other', []],
  ['a larger outbox', '2GB', '3GB', []],
  ['another path of the outbox, and of its audit log', 'a.db', 'b.db', ['7 outbox.path']],
  ['another trusted key', 'plant.pub', 'mine.pub', ['6 models.trust']],
  ['no trusted keys', ', trust: { keys: [plant.pub] }', '', ['6 models.trust']],
  ['another users file', 'users: users.yaml', 'users: mine.yaml', ['8 http.users']],
  ['TLS', 'users: users.yaml', 'users: users.yaml, tls: { cert: a, key: b }', ['8 http.tls']],
  ['no http at all', /^http.*\n/m.exec(former)?.[0] ?? '', '', ['1 http']],
  ['outputs', 'http:', 'outputs: { horn: { type: modbus } }\nhttp:', ['8 outputs']],
  ['an audit key', 'http:', 'audit: { key: { env: KEY } }\nhttp:', ['8 audit']],
  ['another server for a secret', 'mqtt://broker', 'mqtt://evil', ['3 sources.cell.password', '3 sources.cell.tags']],
  ['another server for a header', 'https://lake', 'https://evil', ['5 uplinks.lake.headers.a']],
  ['another secret', 'file: lake', 'file: /etc/shadow', ['5 uplinks.lake.headers.a']],
  ['another tag file', 'cell.csv', '/etc/passwd', ['3 sources.cell.tags']],
  ['the name of a source', 'cell:', 'cells:', []],
])('protects from a remote edit: %s', (_name, old, text, keys) => {
  expect(refused(former)).toEqual([]);
  expect(refused(former.replace(old, text))).toEqual(keys);
});

test.each(['outputs: { lamp: { type: modbus, source: plc } }', 'outputs: { file: lamps.yaml }'])(
  'protects the device that an output writes to: %s',
  (outputs) => {
    const text = `${outputs}\nsources:\n  plc: { type: modbus, url: 'tcp://plc', unitId: 1, scanInterval: 1s }\n`;
    const refusedFrom = (next: string) =>
      protectedChanges(new PositionedDocument(text).value, new PositionedDocument(next)).map(({ path }) =>
        path.join('.'),
      );
    expect(refusedFrom(text.replace('tcp://plc', 'tcp://other'))).toEqual(['sources.plc.url']);
    expect(refusedFrom(text.replace('unitId: 1', 'unitId: 2'))).toEqual(['sources.plc.unitId']);
    expect(refusedFrom(text.replace('1s', '2s'))).toEqual([]);
  },
);

test('a merged map hides nothing', () => {
  const trust = former.replace(
    'models: { directory: models, trust:',
    'models: { <<: &m { trust: { keys: [mine.pub] } }, directory: models, other:',
  );
  expect(refused(trust)).toEqual(['6 models.trust']);
});

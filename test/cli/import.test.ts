import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importCommand, type ImportOptions } from '../../src/cli/import-command.ts';
import { loadConfig } from '../../src/config/config-file.ts';
import { andon } from './run-andon.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'andon-import-test-'));
});
afterAll(() => rm(folder, { recursive: true }));

const kepware = `Tag Name,Address,Data Type,Client Access,Eng Units
press.pressure,400001,Float,RO,bar
press.run,100003,Boolean,RO,
`;

async function runImport(file: string, options: ImportOptions) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await importCommand(file, options, {
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

async function fileOf(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

const settings = { as: 'kepware', addressBase: '1', byteOrder: 'CDAB' } as const;

describe('andon import', () => {
  test('writes a tag file, checks it and plans it', async () => {
    const out = join(folder, 'press.csv');
    const ran = await runImport(await fileOf('export.csv', kepware), { ...settings, out });
    expect(ran.code).toBe(0);
    expect(ran.out).toContain(`2 tags in ${out}: 2 new, 0 changed`);
    expect(ran.out).toContain('config ok: 1 source, 2 tags');
    expect(ran.out).toContain('Every scan can be met');
    expect(await readFile(out, 'utf8')).toBe(
      '\uFEFFname,register,address,type,byteOrder,unit\npress.pressure,holding,0,float32,CDAB,bar\npress.run,discrete,2,bool,,\n',
    );
  });

  test('without a terminal refuses what the file leaves open, with the option, and writes nothing', async () => {
    const path = await fileOf('open.csv', kepware);
    const refused = await andon('import', path, '--as', 'kepware', '--out', join(folder, 'open-tags.csv'));
    expect(refused.code).toBe(64);
    expect(refused.stderr).toContain('--address-base 0|1: ');
    expect(refused.stderr).toContain('--byte-order ABCD|CDAB|BADC|DCBA: ');
    await expect(readFile(join(folder, 'open-tags.csv'))).rejects.toThrow('ENOENT');
    const asJson = await andon('import', path, '--as', 'kepware', '--json');
    expect([asJson.code, JSON.parse(asJson.stdout)]).toMatchObject([64, { ok: false, code: 'import-undecided' }]);
  });

  test('lists a line that is not understood, and exits 1', async () => {
    const path = await fileOf('odd.csv', `${kepware}press.odd,DB1.DBW4,Word,RO,\n`);
    const out = join(folder, 'odd-tags.csv');
    const ran = await runImport(path, { ...settings, out });
    expect(ran.code).toBe(1);
    expect(ran.err).toContain(`${path}:4: press.odd: 'DB1.DBW4': this is not an address of a Modbus device`);
    const asJson = await runImport(path, { ...settings, out, json: true });
    expect(JSON.parse(asJson.out)).toMatchObject({
      ok: false,
      sources: [{ file: out, tags: 2, added: 0, changed: 0 }],
      findings: [{ file: path, line: 4, name: 'press.odd', found: 'DB1.DBW4', imported: false }],
      check: { ok: true, tags: 2 },
      plan: { ok: true },
    });
  });

  test('again keeps hand edits and takes over changes of the export', async () => {
    const out = join(folder, 'again.csv');
    const path = await fileOf('again-export.csv', kepware);
    await runImport(path, { ...settings, out });
    const edited = (await readFile(out, 'utf8')).replace('CDAB,bar', 'CDAB,mbar');
    await writeFile(out, edited);
    await writeFile(path, kepware.replace('400001', '400011'));
    const ran = await runImport(path, { ...settings, out });
    expect(ran.out).toContain(`2 tags in ${out}: 0 new, 1 changed`);
    expect(await readFile(out, 'utf8')).toContain('press.pressure,holding,10,float32,CDAB,mbar');
  });

  test('checks and plans the configuration that uses the tag file, and counts as it does', async () => {
    const out = join(folder, 'used.csv');
    const config = await fileOf(
      'used.yaml',
      'agent: { id: a }\nsources: { plc: { type: modbus, url: tcp://10.0.0.7, addressBase: 1, tags: { file: used.csv } } }\n',
    );
    const ran = await runImport(await fileOf('used-export.csv', kepware), { ...settings, out, config });
    expect(ran.code).toBe(0);
    expect(await readFile(out, 'utf8')).toContain('press.pressure,holding,1,float32');
    expect((await loadConfig(config)).config.sources['plc']).toMatchObject({ tags: { 'press.run': { address: 3 } } });
    const broken = await fileOf('broken.yaml', (await readFile(config, 'utf8')).replace('agent', 'agnet'));
    expect((await runImport(await fileOf('e.csv', kepware), { ...settings, out, config: broken })).code).toBe(78);
  });

  test('describes the devices of Telegraf in a configuration, and adds to one that exists', async () => {
    const meter = (name: string) =>
      `[[inputs.modbus]]\nname = "${name}"\ncontroller = "tcp://10.0.0.7:502"\ncoils = [ { name = "on", address = [0] } ]\n`;
    const out = join(folder, 'line.yaml');
    const first = await runImport(await fileOf('one.conf', meter('m1')), { as: 'telegraf', out });
    expect([first.code, (await loadConfig(out)).config.sources]).toMatchObject([
      0,
      { m1: { url: 'tcp://10.0.0.7:502', unitId: 0, tags: { 'm1.on': { register: 'coil', address: 0 } } } },
    ]);
    await writeFile(
      out,
      (await readFile(out, 'utf8')).replace('url: tcp://10.0.0.7:502', 'url: tcp://10.0.0.8:502 # moved'),
    );
    const second = await runImport(await fileOf('two.conf', `${meter('m1')}${meter('m2')}`), { as: 'telegraf', out });
    expect(second.err).toContain(`source m1 of ${out} stays as it is`);
    expect(await readFile(out, 'utf8')).toContain('tcp://10.0.0.8:502 # moved');
    expect(Object.keys((await loadConfig(out)).config.sources)).toEqual(['m1', 'm2']);
  });

  test('an export of andon tags export, imported into its own file, changes no byte', async () => {
    const text =
      '\uFEFFname;register;address;type;scale\npress.oil;holding;7;int16;0,5\n# spare\npress.run;coil;3;bool;\n';
    const file = await fileOf('own.csv', text);
    await fileOf(
      'own.yaml',
      'agent: { id: a }\nsources: { plc: { type: modbus, url: tcp://10.0.0.7, tags: { file: own.csv } } }\n',
    );
    const exported = join(folder, 'exported.csv');
    expect((await andon('tags', 'export', '-c', join(folder, 'own.yaml'), '--out', exported)).code).toBe(0);
    const ran = await runImport(exported, { as: 'csv', out: file, config: join(folder, 'own.yaml') });
    expect([ran.code, await readFile(file, 'utf8')]).toEqual([0, text]);
  });

  test('reads the tags of a broker as a tag file', async () => {
    const out = join(folder, 'cell.csv');
    const ran = await runImport(await fileOf('topics.csv', 'name,topic,value\ncell.rms,a/b,$.rms\n'), {
      as: 'csv',
      out,
    });
    expect([ran.code, await readFile(out, 'utf8')]).toEqual([0, '\uFEFFname,topic,value\ncell.rms,a/b,$.rms\n']);
  });

  test('a spreadsheet and a missing file are named', async () => {
    const sheet = await fileOf('map.xlsx', 'PK\u0003\u0004...');
    const options = { as: 'csv', out: join(folder, 'x.csv') } as const;
    await expect(runImport(sheet, options)).rejects.toThrow(
      'map.xlsx: is a spreadsheet. Save its sheet as CSV: in Excel',
    );
    await expect(runImport(join(folder, 'gone.csv'), options)).rejects.toThrow('ENOENT');
  });

  test('a file without a tag writes nothing and exits 1', async () => {
    const out = join(folder, 'none.csv');
    const ran = await runImport(await fileOf('none-export.csv', 'a;b\n1;2\n'), { ...settings, out });
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('nothing is written');
    await expect(readFile(out)).rejects.toThrow('ENOENT');
  });
});

import { readFileSync, writeFileSync } from 'node:fs';
import { connectAsync } from 'mqtt';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { tagFileText } from '../../src/config/config-tag-files.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { opcuaPeer, OpcuaServer } from '../support/opcua-server.ts';
import { describeWith, pythonWith } from '../support/programs.ts';
import { PymodbusServer } from '../support/pymodbus-server.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { useScreen } from './screen-test.ts';

/* Tags on the page of the configuration: those that a broker has, and those of a device as a table. */
describeWith(['chromium', 'mosquitto'], 'the topics of a broker on the page', () => {
  const own = useScreen();
  let stack: AsyncDisposableStack;
  let agent: AgentProcess;

  /** The broker of `open` accepts any client; the one of `guarded` only users. */
  beforeAll(async () => {
    stack = new AsyncDisposableStack();
    const broker = stack.use(await Mosquitto.start());
    const guarded = stack.use(await Mosquitto.start({ users: { plant: 'secret' } }));
    const client = await connectAsync(broker.url);
    stack.defer(() => client.endAsync());
    await client.publishAsync('acme/press', '{"rms":0.7,"axis":{"x":1.5}}', { retain: true });
    const folder = stack.use(new AgentFolder());
    folder.configure({
      sources: {
        open: { type: 'mqtt', url: broker.url, tags: { speed: { topic: 'acme/speed' } } },
        guarded: { type: 'mqtt', url: guarded.url, tags: { force: { topic: 'acme/force' } } },
      },
      http: { listen: '127.0.0.1:0', anonymous: 'engineer' },
    });
    agent = stack.use(await AgentProcess.start(folder.configFile));
  });
  afterAll(() => stack.disposeAsync());

  test('are listed with their values, and one becomes a tag that is read', async () => {
    const { page } = own.screen;
    await page.goto(`${agent.httpUrl}/configuration?tab=topics`);
    await page.locator('select[name="source"]').selectOption('open');
    await page.getByLabel('Topic filter').fill('acme/#');
    await page.getByRole('button', { name: 'Listen' }).click();
    await page.getByRole('button', { name: 'acme/press' }).click();
    await expect.poll(() => page.locator('.payload').textContent()).toBe('{"rms":0.7,"axis":{"x":1.5}}');
    const values = await page.locator('#candidates tr .number').allTextContents();
    expect(values.slice(1)).toEqual(['0.7', '1.5']);
    await page.getByLabel('Name of the tag: $.rms').fill('vibration');
    await page.getByRole('button', { name: 'Add as tag: $.rms' }).click();
    await expect.poll(() => page.locator('tr[data-path="$.rms"] button').textContent()).toBe('In the file');
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByRole('button', { name: 'Listen' }).waitFor();
    expect(await own.screen.violations()).toEqual([]);
    await page.getByRole('button', { name: 'Compare and apply…' }).click();
    const changes = await page.locator('#diff tr:not([data-kind="same"]) code').allTextContents();
    expect(changes.map((each) => each.trim())).toEqual(['vibration: { topic: acme/press, value: $.rms }']);
    await page.locator('#apply:enabled').click();
    await page.locator('#last-apply[data-state="applied"]').waitFor();
    await page.goto(`${agent.httpUrl}/configuration`);
    await expect.poll(() => page.locator('.source tr', { hasText: 'vibration' }).textContent()).toContain('0.7');
  });

  test('show why they are not listed', async () => {
    const { page } = own.screen;
    await page.goto(`${agent.httpUrl}/configuration?tab=topics`);
    await page.locator('select[name="source"]').selectOption('guarded');
    await page.getByRole('button', { name: 'Listen' }).click();
    await expect
      .poll(() => page.locator('.problem').allTextContents())
      .toContainEqual(expect.stringMatching(/refused|not authori[sz]ed/i));
    await page.getByRole('button', { name: 'Listen' }).waitFor();
  });
});

describeWith(['chromium', pythonWith('pymodbus', 'pymodbus')], 'the tags of a device as a table', () => {
  const own = useScreen();

  let stack: AsyncDisposableStack;
  let agent: AgentProcess;
  let file: string;

  /** A device of pymodbus, read as two sources: register n has the value n * 3. The file has a comment, which must stay. */
  beforeAll(async () => {
    stack = new AsyncDisposableStack();
    const device = stack.use(await PymodbusServer.start('socket'));
    const source = (tag: string) => ({
      type: 'modbus',
      url: `tcp://127.0.0.1:${device.port}`,
      scanInterval: '100ms',
      timeout: '30s',
      tags: { [tag]: { register: 'holding', address: 4, type: 'uint16' } },
    });
    const folder = stack.use(new AgentFolder());
    folder.configure({
      sources: { press: source('speed'), mill: source('force') },
      http: { listen: '127.0.0.1:0', anonymous: 'engineer' },
    });
    file = folder.configFile;
    writeFileSync(file, onDisk().replace('      speed:', '      # at the shaft\n      speed:'));
    agent = stack.use(await AgentProcess.start(file));
  });
  afterAll(() => stack.disposeAsync());

  const onDisk = () => readFileSync(file, 'utf8');

  /** Opens the table of a source. */
  async function open(source: string) {
    const { page } = own.screen;
    await page.goto(`${agent.httpUrl}/configuration?tab=tags&source=${source}`);
    const apply = async () => {
      await page.getByRole('button', { name: 'Compare and apply…' }).click();
      await page.locator('#apply:enabled').click();
      // The dialog closes when the result is there: before, the page shows the one of an earlier test.
      await page.locator('#apply').waitFor({ state: 'detached' });
      await page.locator('#last-apply[data-state="applied"]').waitFor();
    };
    const tagsOnDisk = () =>
      (parse(onDisk()) as { sources: Readonly<Record<string, { tags: Readonly<Record<string, object>> }>> }).sources[
        source
      ]?.tags;
    const value = async (tag: string) => {
      await page.goto(`${agent.httpUrl}/configuration`);
      const row = page.locator(`[data-source="${source}"] tr`, { hasText: tag });
      return expect.poll(() => row.locator('.number').textContent());
    };
    return { page, apply, tagsOnDisk, value };
  }

  test('are changed in their cells, checked and applied, and the comments of the file stay', async () => {
    const { page, apply, tagsOnDisk, value } = await open('press');
    const cell = (key: string) => page.getByLabel(`speed: ${key}`, { exact: true });
    await cell('address').fill('-1');
    await page.keyboard.press('Tab');
    await page.locator('#problems li', { hasText: 'sources.press.tags.speed.address' }).waitFor();
    expect(await cell('address').getAttribute('aria-invalid')).toBe('true');
    expect(await own.screen.violations()).toEqual([]);
    await cell('address').fill('7');
    await cell('register').selectOption('input');
    await cell('unit').fill('rpm');
    await cell('range').fill('0..3000');
    await cell('unit').focus();
    await page.getByLabel('New tag').fill('heat');
    await page.keyboard.press('Enter');
    await page.getByLabel('heat: register').selectOption('holding');
    await page.getByLabel('heat: address').fill('9');
    await page.getByLabel('heat: type').selectOption('uint16');
    await apply();
    expect(onDisk()).toContain('# at the shaft');
    expect(tagsOnDisk()).toEqual({
      speed: { register: 'input', address: 7, type: 'uint16', unit: 'rpm', range: [0, 3000] },
      heat: { register: 'holding', address: 9, type: 'uint16' },
    });
    await (await value('speed')).toBe('21');
  });

  test('are pasted from a spreadsheet, with the problems of each line', async () => {
    const { page, apply, tagsOnDisk, value } = await open('mill');
    const tags = {
      force: { register: 'holding', address: 5, type: 'uint16', unit: 'kN' },
      pressure: { register: 'input', address: 2, type: 'uint16', scale: 0.5, range: [0, 16] },
    };
    await page.getByRole('button', { name: 'Paste table…' }).click();
    const cells = page.locator('dialog[open]').getByLabel('Cells');
    await cells.fill('name\tadress\nforce\t5\n');
    await page.locator('dialog[open]').getByRole('button', { name: 'Read' }).click();
    await expect.poll(() => page.locator('#paste-problems').textContent()).toContain("did you mean 'address'?");
    expect(await own.screen.violations()).toEqual([]);
    await cells.fill(tagFileText(tags, '\t'));
    await page.locator('dialog[open]').getByRole('button', { name: 'Read' }).click();
    await expect.poll(() => page.locator('#paste-count').textContent()).toBe('New tags: 1. Changed tags: 1.');
    await page.getByRole('button', { name: 'Add to the text' }).click();
    await page.locator('tr[data-tag="pressure"]').waitFor();
    await apply();
    expect(tagsOnDisk()).toEqual(tags);
    await (await value('pressure')).toBe('3');
  });
});

describeWith(['chromium', opcuaPeer], 'the nodes of an OPC UA server on the page', () => {
  const own = useScreen();

  test('are opened level by level with their values, and a field becomes a tag that is read', async () => {
    const { stack } = own;
    const { page } = own.screen;
    const server = stack.use(await OpcuaServer.start());
    const folder = stack.use(new AgentFolder());
    folder.configure({
      sources: {
        plc: {
          type: 'opcua',
          url: server.url,
          security: { policy: 'None' },
          publishingInterval: '200ms',
          tags: { temp: { node: 'nsu=urn:acme:line;s=Line.Temp' } },
        },
      },
      http: { listen: '127.0.0.1:0', anonymous: 'engineer' },
    });
    const agent = stack.use(await AgentProcess.start(folder.configFile));
    await page.goto(`${agent.httpUrl}/configuration`);
    await expect.poll(() => page.locator('.source tr', { hasText: 'temp' }).textContent()).toContain('20.5');

    await page.goto(`${agent.httpUrl}/configuration?tab=nodes`);
    await page.getByRole('button', { name: 'Browse' }).click();
    await page.getByRole('button', { name: 'Line', exact: true }).click();
    const temp = page.locator('li[data-node="nsu=urn:acme:line;s=Line.Temp"]');
    await expect.poll(() => temp.textContent()).toContain('Double 20.5');
    await temp.getByRole('button').click();
    const value = page.locator('#candidates tbody .number');
    await expect.poll(() => value.textContent()).toBe('20.5');
    await server.write({ node: 'Temp', value: 31.5 });
    await expect.poll(() => value.textContent()).toBe('31.5');

    await page.getByRole('button', { name: 'Motor', exact: true }).click();
    await page.getByLabel('Name of the tag: speed').fill('motor.speed');
    await page.getByRole('button', { name: 'Add as tag: speed' }).click();
    await expect.poll(() => page.locator('tr[data-path="speed"] button').textContent()).toBe('In the file');
    expect(await own.screen.violations()).toEqual([]);
    await page.getByRole('button', { name: 'Compare and apply…' }).click();
    await page.locator('#apply:enabled').click();
    await page.locator('#last-apply[data-state="applied"]').waitFor();
    await page.goto(`${agent.httpUrl}/configuration`);
    await expect.poll(() => page.locator('.source tr', { hasText: 'motor.speed' }).textContent()).toContain('1481');
    expect(parse(readFileSync(folder.configFile, 'utf8'))).toMatchObject({
      sources: { plc: { tags: { 'motor.speed': { node: 'nsu=urn:acme:line;s=Line.Motor', path: 'speed' } } } },
    });
  });
});

import { readFileSync, writeFileSync } from 'node:fs';
import { connectAsync } from 'mqtt';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { tagFileText } from '../../src/config/config-tag-files.ts';
import { Mosquitto } from '../support/mosquitto.ts';
import { describeWith, pythonWith } from '../support/programs.ts';
import { PymodbusServer } from '../support/pymodbus-server.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { useScreen } from './screen-test.ts';

/* Tags on the page of the configuration: those that a broker has, and those of a device as a table. */
describeWith(['chromium', 'mosquitto'], 'the topics of a broker on the page', () => {
  const own = useScreen();

  test('are listed with their values, and one becomes a tag that is read', async () => {
    const { stack } = own;
    const { page } = own.screen;
    const broker = stack.use(await Mosquitto.start());
    const client = await connectAsync(broker.url);
    stack.defer(() => client.endAsync());
    await client.publishAsync('acme/press', '{"rms":0.7,"axis":{"x":1.5}}', { retain: true });
    const folder = stack.use(new AgentFolder());
    const tags = { speed: { topic: 'acme/speed' } };
    folder.configure({
      sources: { cell: { type: 'mqtt', url: broker.url, tags } },
      http: { listen: '127.0.0.1:0', anonymous: 'engineer' },
    });
    const agent = stack.use(await AgentProcess.start(folder.configFile));
    await page.goto(`${agent.httpUrl}/configuration?tab=topics`);
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
    const { stack } = own;
    const { page } = own.screen;
    const broker = stack.use(await Mosquitto.start({ users: { plant: 'secret' } }));
    const folder = stack.use(new AgentFolder());
    folder.configure({
      sources: { cell: { type: 'mqtt', url: broker.url, tags: { speed: { topic: 'acme/speed' } } } },
      http: { listen: '127.0.0.1:0', anonymous: 'engineer' },
    });
    const agent = stack.use(await AgentProcess.start(folder.configFile));
    await page.goto(`${agent.httpUrl}/configuration?tab=topics`);
    await page.getByRole('button', { name: 'Listen' }).click();
    await expect
      .poll(() => page.locator('.problem').allTextContents())
      .toContainEqual(expect.stringMatching(/refused|not authori[sz]ed/i));
    await page.getByRole('button', { name: 'Listen' }).waitFor();
  });
});

describeWith(['chromium', pythonWith('pymodbus', 'pymodbus')], 'the tags of a device as a table', () => {
  const own = useScreen();

  /** A device of pymodbus: register n has the value n * 3. The file has comments, which must stay. */
  async function start() {
    const { stack } = own;
    const device = stack.use(await PymodbusServer.start('socket'));
    const folder = stack.use(new AgentFolder());
    folder.configure({
      sources: {
        press: {
          type: 'modbus',
          url: `tcp://127.0.0.1:${device.port}`,
          scanInterval: '100ms',
          timeout: '30s',
          tags: { speed: { register: 'holding', address: 4, type: 'uint16' } },
        },
      },
      http: { listen: '127.0.0.1:0', anonymous: 'engineer' },
    });
    const text = readFileSync(folder.configFile, 'utf8').replace('      speed:', '      # at the shaft\n      speed:');
    writeFileSync(folder.configFile, text);
    const agent = stack.use(await AgentProcess.start(folder.configFile));
    const { page } = own.screen;
    await page.goto(`${agent.httpUrl}/configuration?tab=tags`);
    const apply = async () => {
      await page.getByRole('button', { name: 'Compare and apply…' }).click();
      await page.locator('#apply:enabled').click();
      await page.locator('#last-apply[data-state="applied"]').waitFor();
    };
    const onDisk = () => readFileSync(folder.configFile, 'utf8');
    const tagsOnDisk = () =>
      (parse(onDisk()) as { sources: { press: { tags: Readonly<Record<string, object>> } } }).sources.press.tags;
    const value = async (tag: string) => {
      await page.goto(`${agent.httpUrl}/configuration`);
      return expect.poll(() => page.locator('.source tr', { hasText: tag }).locator('.number').textContent());
    };
    return { page, apply, onDisk, tagsOnDisk, value };
  }

  test('are changed in their cells, checked and applied, and the comments of the file stay', async () => {
    const { page, apply, onDisk, tagsOnDisk, value } = await start();
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
    const { page, apply, tagsOnDisk, value } = await start();
    const tags = {
      speed: { register: 'holding', address: 5, type: 'uint16', unit: 'rpm' },
      pressure: { register: 'input', address: 2, type: 'uint16', scale: 0.5, range: [0, 16] },
    };
    await page.getByRole('button', { name: 'Paste table…' }).click();
    const cells = page.locator('dialog[open]').getByLabel('Cells');
    await cells.fill('name\tadress\nspeed\t5\n');
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

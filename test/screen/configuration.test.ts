import { readFileSync, writeFileSync } from 'node:fs';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { launchChromium } from '../support/browser.ts';
import { freePort } from '../support/free-port.ts';
import { describeWith } from '../support/programs.ts';
import { levelWatch, ScreenPage, WatchedPlant } from './screen-page.ts';

/** Pastes as from the clipboard, which a page without a secure origin cannot write. Runs in the browser. */
function pasteInto(editor: EventTarget, text: string): void {
  const { DataTransfer, ClipboardEvent } = globalThis as unknown as {
    readonly DataTransfer: new () => { setData(type: string, text: string): void };
    readonly ClipboardEvent: new (type: string, options: object) => Event;
  };
  const clipboardData = new DataTransfer();
  clipboardData.setData('text/plain', text);
  editor.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
}

/* The page of the configuration of a running agent, in a real browser. */
describeWith(['chromium'], 'the page of the configuration', () => {
  let chromium: Browser;
  let line: WatchedPlant;
  let screen: ScreenPage;
  let page: Page;

  beforeAll(async () => {
    chromium = await launchChromium();
  });
  afterAll(() => chromium.close());

  beforeEach(async () => {
    line = await WatchedPlant.start({ level: levelWatch }, { anonymous: 'engineer' });
    screen = await ScreenPage.open(chromium);
    ({ page } = screen);
  });
  afterEach(async () => {
    await screen[Symbol.asyncDispose]();
    await line[Symbol.asyncDispose]();
  });

  const onDisk = () => readFileSync(line.folder.configFile, 'utf8');
  const lineOf = (text: string, part: string) => text.split('\n').findIndex((each) => each.includes(part)) + 1;

  /** Opens the file and replaces its text, as a person who pastes. */
  async function paste(text: string): Promise<void> {
    await page.goto(`${line.url}/configuration?tab=file`);
    // The editor is made again when the session of the page allows changes.
    const editor = page
      .getByRole('textbox', { name: line.folder.configFile })
      .and(page.locator(':not([aria-readonly])'));
    await editor.click();
    await page.keyboard.press('Control+A');
    await editor.evaluate(pasteInto, text);
  }

  const changes = async () =>
    (await page.locator('#diff tr:not([data-kind="same"]) code').allTextContents()).map((each) => each.trim());

  const isChecked = () => page.locator('#check[data-checked="true"]').waitFor();

  async function compareAndApply(): Promise<void> {
    await page.getByRole('button', { name: 'Compare and apply…' }).click();
    await page.locator('#apply:enabled').click();
  }

  test('shows a problem at its line, and applies the fixed text after a comparison', async () => {
    const text = onDisk();
    const wrong = text.replace('scanInterval: 100ms', 'scanInterval: 100 parsecs');
    await paste(wrong);
    const problem = page.locator('#problems li[data-severity="error"]');
    await expect.poll(() => problem.first().textContent()).toContain(`Line ${lineOf(wrong, 'parsecs')}`);
    expect(await problem.first().textContent()).toContain('sources.plc.scanInterval');
    expect(await page.locator('.cm-problem').textContent()).toContain('parsecs');
    await page.getByRole('button', { name: 'Compare and apply…' }).click();
    expect(await page.locator('#apply').isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Back' }).click();

    await paste(text.replace('scanInterval: 100ms', 'scanInterval: 150ms'));
    await isChecked();
    await page.getByRole('button', { name: 'Compare and apply…' }).click();
    await expect.poll(changes).toEqual(['scanInterval: 100ms', 'scanInterval: 150ms']);
    expect(await screen.violations()).toEqual([]);
    await page.locator('#apply:enabled').click();
    await page.locator('#last-apply[data-state="applied"]').waitFor();
    expect(await page.locator('#last-apply').textContent()).toContain('sources.plc');
    expect(onDisk()).toContain('scanInterval: 150ms');
    expect(screen.errors).toEqual([]);
  });

  test('a change with which a source stops working is reverted, with the reason', async () => {
    await page.goto(`${line.url}/configuration`);
    await page.locator('.source tr[data-quality="good"]').first().waitFor();
    const text = onDisk();
    await paste(
      `${text.replace(line.plant.plc.url, `tcp://127.0.0.1:${await freePort()}`)}reload:\n  revertAfter: 1s\n`,
    );
    await isChecked();
    await compareAndApply();
    await page.locator('#last-apply[data-state="reverted"]').waitFor();
    expect(await page.locator('#last-apply').textContent()).toContain('sources.plc worked before');
    await expect.poll(onDisk).toBe(text);
  });

  test('a protected key is named, and cannot be applied', async () => {
    await paste(onDisk().replace('anonymous: engineer', 'anonymous: admin'));
    const problem = page.locator('#problems li[data-severity="refused"]');
    await expect.poll(() => problem.textContent()).toContain('http.anonymous');
    expect(await problem.textContent()).toContain('Edit the file on the box');
    await page.getByRole('button', { name: 'Compare and apply…' }).click();
    expect(await page.locator('#apply').isDisabled()).toBe(true);
  });

  test('a file that was changed meanwhile is compared again before it is replaced', async () => {
    const text = onDisk();
    await paste(`${text}# from the page\n`);
    await isChecked();
    await page.getByRole('button', { name: 'Compare and apply…' }).click();
    writeFileSync(line.folder.configFile, `${text}# a local edit\n`);
    await page.getByRole('button', { name: 'Compare with the file of now' }).click();
    await expect.poll(changes).toEqual(['# a local edit', '# from the page']);
    expect(onDisk()).toContain('# a local edit');
  });

  test('a read-only configuration is shown without a way to change it', async () => {
    await line.agent?.end('SIGTERM');
    line.configure({ level: levelWatch }, { anonymous: 'engineer', configuration: 'read-only' });
    await line.startAgent();
    await page.goto(`${line.url}/configuration?tab=file`);
    expect(await page.locator('#read-only').textContent()).toContain('http.configuration is read-only');
    await page.getByRole('textbox', { name: line.folder.configFile }).waitFor();
    expect(await page.getByRole('button', { name: 'Compare and apply…' }).count()).toBe(0);
    expect(await screen.violations()).toEqual([]);
  });

  test('chosen tags become a learning watch, with the keyboard alone', async () => {
    await page.goto(`${line.url}/configuration`);
    for (const tag of ['level', 'count']) {
      await page.getByRole('checkbox', { name: `Choose ${tag}`, exact: true }).focus();
      await page.keyboard.press('Space');
    }
    expect(await page.getByLabel('Learn for').inputValue()).toBe('24h');
    await page.getByLabel('Name').focus();
    await page.keyboard.type('press');
    await page.keyboard.press('Enter');
    await isChecked();
    await page.getByRole('button', { name: 'Compare and apply…' }).focus();
    await page.keyboard.press('Enter');
    // A focus on a dialog that is not open yet would do nothing.
    await page.locator('dialog[open] #apply:enabled').focus();
    await page.keyboard.press('Enter');
    await page.locator('#last-apply[data-state="applied"]').waitFor();
    await page.goto(line.url);
    await expect.poll(() => screen.tile('press')).toContain('learning');
    expect(screen.errors).toEqual([]);
  });

  test('registers are shown in every type, and one becomes a tag', async () => {
    line.plant.plc.registers.set([0x40_60, 0], 10);
    await page.goto(`${line.url}/configuration?tab=registers`);
    await page.getByLabel('Address').fill('10');
    await page.getByLabel('Count').fill('4');
    await page.getByRole('button', { name: 'Read' }).click();
    const float = page.locator('#candidates tr[data-type="float32 ABCD"]');
    await float.waitFor();
    expect(await float.locator('.number').textContent()).toBe('3.5');
    expect(await screen.violations()).toEqual([]);
    await page.getByLabel('Name of the tag').fill('pressure');
    await float.getByRole('button').click();
    await isChecked();
    await page.getByRole('button', { name: 'Compare and apply…' }).click();
    await expect.poll(changes).toEqual(['pressure: { register: holding, address: 10, type: float32 }']);
    expect(line.plant.plc.connections).toBe(1);
    expect(screen.errors).toEqual([]);
  });

  test('completion proposes the keys of the kind of a source', async () => {
    await paste('sources:\n  plc:\n    type: modbus\n    ');
    await page.keyboard.type('scanI');
    await page.locator('.cm-tooltip-autocomplete li', { hasText: 'scanInterval' }).waitFor();
    // The editor takes an Enter within 75 ms after the list appeared as a new line.
    await page.evaluate('new Promise((done) => setTimeout(done, 100))');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.locator('.cm-content').textContent()).toContain('scanInterval: ');
  });
});

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CrashPlant } from '../support/crash-plant.ts';
import { packageArchive } from '../support/model-packages.ts';
import { meanModel } from '../support/onnx-models.ts';
import { describeWith } from '../support/programs.ts';
import { AgentFolder, AgentProcess } from '../support/start-agent.ts';
import { ScreenPage } from './screen-page.ts';
import { useScreen } from './screen-test.ts';

const echo = (version: number) => ({
  name: 'echo',
  version,
  bytes: meanModel(1, 1),
  steps: 1,
  tags: 1,
  golden: [{ window: [0.5], score: 0.5 }],
  manifest: {
    metrics: { held_out_false_alarm_rate: 0.004 },
    training: { detection: { level: { '+1 sd': 0.4, stuck: 0.9 } } },
  },
});

/** A plant whose level changes, a watch with the model `echo`, and a watch that learns. */
async function startLine(stack: AsyncDisposableStack, anonymous: string, scanInterval = '50ms') {
  const plant = stack.use(await CrashPlant.start());
  plant.addModel(echo(1));
  plant.alternateLevel(300);
  const folder = stack.use(new AgentFolder());
  folder.configure({
    ...plant.sections(scanInterval),
    watches: {
      level: { model: 'echo', tags: ['level'], window: { step: '100ms', hop: '100ms', maxAge: '1s' }, alarm: {} },
      fresh: { tags: ['level', 'count'], window: { step: scanInterval, maxAge: '1s' }, learn: { for: '10d' } },
    },
    outbox: { historyFlushInterval: '100ms' },
    http: { listen: '127.0.0.1:0', anonymous },
  });
  const agent = stack.use(await AgentProcess.start(folder.configFile));
  return { plant, folder, agent };
}

describeWith(['chromium'], 'the page of models', () => {
  const own = useScreen();

  const button = (name: string | RegExp) => own.screen.page.getByRole('button', { name, exact: true });
  const confirm = (name: string) =>
    own.screen.page.getByRole('dialog').getByRole('button', { name, exact: true }).click();
  const results = () => own.screen.page.locator('.results').textContent();
  const cells = (table: string, column: number) =>
    own.screen.page.locator(`#${table} tbody tr > :nth-child(${column})`).allTextContents();

  /** Installs a version from a file of the browser's device. */
  const install = async (version: number) => {
    await button('Install…').click();
    await own.screen.page
      .getByLabel('File')
      .setInputFiles({ name: 'echo.tgz', mimeType: 'application/gzip', buffer: packageArchive(echo(version)) });
    await confirm('Install');
    await expect.poll(results).toBe(`echo@${version} is installed.`);
  };

  test('shows versions, where they run, figures and the faults that a version finds', async () => {
    const { agent } = await startLine(own.stack, 'viewer');
    await own.screen.page.goto(`${agent.httpUrl}/models`);
    await own.screen.page.getByRole('link', { name: /^echo/ }).click();
    await expect.poll(() => cells('versions', 1)).toEqual(['1']);
    await expect.poll(() => cells('versions', 2)).toEqual(['active']);
    await expect.poll(() => cells('versions', 4)).toEqual(['0.4%']);
    await expect.poll(() => cells('in-use', 3)).toEqual([expect.stringMatching(/^ready/)]);
    expect(await cells('in-use', 4)).toEqual(['cpu']);
    await expect.poll(() => cells('faults', 2)).toEqual(['40%']);
    expect(await cells('faults', 3)).toEqual(['90%']);
    await expect.poll(() => cells('in-use', 8)).toEqual([expect.stringMatching(/MB$/)]);
  });

  test('trains, reports progress, proposes the version with its report, and activates it', async () => {
    const { agent, plant } = await startLine(own.stack, 'engineer', '20ms');
    const rows = async () => {
      const answer = await fetch(`${agent.httpUrl}/api/v1/history?tags=count`);
      return ((await answer.json()) as { tags: { values: number[] }[] }).tags[0]?.values.length ?? 0;
    };
    // A fifth of the rows is held out, and 200 of the others are needed: twice that, since a busy machine misses scans.
    await expect.poll(rows).toBeGreaterThan(500);
    await own.screen.page.goto(`${agent.httpUrl}/models`);
    await button('Train…').click();
    await own.screen.page.locator('select[name="watch"]').selectOption('fresh');
    await own.screen.page.getByLabel('Train also on fewer rows').check();
    await confirm('Train');
    await own.screen.page.locator('#trainings progress').waitFor();
    // The training has the lowest priority: what else the machine does goes before it.
    await expect
      .poll(() => own.screen.page.locator('#trainings').textContent(), { timeout: 240_000 })
      .toContain('Version 1 is trained');
    await own.screen.page.locator('#trainings').getByRole('link', { name: 'fresh' }).click();
    await expect.poll(() => cells('versions', 2)).toEqual(['proposed']);
    await own.screen.page.getByText('Show the training report').click();
    await own.screen.page.locator('.markdown figure svg path').first().waitFor({ state: 'attached' });
    expect(await own.screen.page.locator('.markdown h4').allTextContents()).toContain('What it detects');
    await button('Activate 1').click();
    const question = () => own.screen.page.getByRole('dialog').textContent();
    await expect.poll(question).toContain('leave the state learning: fresh');
    await confirm('Activate');
    await expect.poll(results).toBe('Version 1 is active.');
    await expect.poll(() => cells('in-use', 3)).toEqual([expect.stringMatching(/^ready/)]);
    expect(plant.modelDirectory).not.toBe('');
  });

  test('installs, activates, compares, rolls back, pins and removes, and logs each act', async () => {
    const { agent } = await startLine(own.stack, 'engineer');
    await own.screen.page.goto(`${agent.httpUrl}/models/echo`);
    // The model is shown without the results of earlier acts.
    await expect.poll(() => cells('versions', 1)).toEqual(['1']);
    await install(2);
    await button('2').click();
    await button('Activate 2').click();
    const question = () => own.screen.page.getByRole('dialog').textContent();
    await expect.poll(question).toMatch(/instead of version 1.*Watches: level/);
    await confirm('Activate');
    await expect.poll(results).toBe('Version 2 is active.');
    await expect.poll(() => cells('versions', 2)).toEqual(['active', 'previous']);

    await button('Comparison').click();
    await own.screen.page.locator('.comparison .chart canvas').waitFor();
    await expect
      .poll(() => own.screen.page.locator('.comparison h2').textContent())
      .toBe('level: probation of version 2 next to 1');
    await expect
      .poll(() => own.screen.page.locator('.comparison .agreement td').allTextContents())
      .toEqual([expect.stringMatching(/^[1-9]/), '0', '0', expect.stringMatching(/^\d/)]);

    await button('Versions').click();
    await button('Roll back to version 1').click();
    await confirm('Roll back to version 1');
    await expect.poll(results).toBe('Version 1 is active.');
    await expect.poll(() => cells('versions', 2)).toEqual(['previous', 'active']);
    await button('Pin version 1').click();
    await confirm('Pin version 1');
    await expect.poll(() => cells('versions', 2)).toEqual(['previous', 'activepinned']);
    await expect.poll(() => button('Roll back to version 2').isDisabled()).toBe(true);
    await button('Unpin').click();
    await expect.poll(results).toBe('The model is unpinned.');

    await install(3);
    await button('3').click();
    await button('Remove 3').click();
    await expect.poll(question).toContain('This cannot be undone');
    await own.screen.page.keyboard.press('Escape');
    await expect.poll(() => own.screen.page.getByRole('dialog').count()).toBe(0);
    await button('Remove 3').click();
    await confirm('Remove');
    await expect.poll(results).toBe('Version 3 is removed.');
    await expect.poll(() => cells('versions', 1)).toEqual(['2', '1']);

    await button('Log').click();
    await expect
      .poll(() => cells('model-log', 3))
      .toEqual(['removed', 'installed', 'unpinned', 'pinned', 'rolled back', 'activated', 'installed']);
    expect((await cells('model-log', 2))[0]).toBe('anonymous@127.0.0.1');
  });

  test('shows why the agent refuses an act, and keeps the version', async () => {
    const { agent, plant } = await startLine(own.stack, 'engineer');
    plant.addModel({ ...echo(2), golden: [{ window: [0.5], score: 0.7 }] });
    writeFileSync(join(plant.modelDirectory, 'echo/active'), '1\n');
    await own.screen.page.goto(`${agent.httpUrl}/models/echo`);
    await button('2').click();
    await button('Activate 2').click();
    await confirm('Activate');
    await expect.poll(results).toMatch(/expected 0\.7/);
    await expect.poll(() => cells('versions', 2)).toEqual(['', 'active']);
    await button('Install…').click();
    await own.screen.page
      .getByLabel('File')
      .setInputFiles({ name: 'echo.tgz', mimeType: 'application/gzip', buffer: Buffer.from('garbage') });
    await confirm('Install');
    await expect.poll(() => own.screen.page.getByRole('dialog').locator('.problem').textContent()).toMatch(/archive/);
  });

  test('tries a version out with values for each tag', async () => {
    const { agent } = await startLine(own.stack, 'viewer');
    await own.screen.page.goto(`${agent.httpUrl}/models/echo?view=try`);
    const field = own.screen.page.getByLabel('tag-0');
    const result = () => own.screen.page.locator('#try-result').textContent();
    await field.fill('four');
    await button('Run').click();
    await expect.poll(result).toBe('“four” is not a number.');
    await field.fill('4');
    await own.screen.page.keyboard.press('Enter');
    await expect.poll(result).toMatch(/^Score 4, threshold 1: abnormal.*on cpu/);
    await button('Example').click();
    await button('Run').click();
    await expect.poll(result).toMatch(/^Score 0.5, threshold 1: normal/);
    expect(await cells('outputs', 1)).toEqual(['score']);
    // The level of the plant is 0 or 5.
    await button('Last window of level').click();
    await expect.poll(() => field.inputValue()).toMatch(/^[05]$/);
  });

  test.each(['viewer', 'operator'])('a %s sees models and no act on them', async (role) => {
    const { agent } = await startLine(own.stack, role);
    await own.screen.page.goto(`${agent.httpUrl}/models/echo`);
    await expect.poll(() => cells('versions', 1)).toEqual(['1']);
    await expect.poll(() => cells('faults', 2)).toEqual(['40%']);
    expect(await own.screen.page.locator('.actions').count()).toBe(0);
    expect(await button('Log').count()).toBe(0);
    expect(await button('Try out').count()).toBe(1);
    await own.screen.page.goto(`${agent.httpUrl}/models/echo?view=log`);
    await button('Try out').waitFor();
    expect(await own.screen.page.locator('#model-log').count()).toBe(0);
  });

  test.each(['light', 'dark'] as const)(
    'has no violation of WCAG in %s colors, dialogs included',
    async (colorScheme) => {
      const { agent, plant } = await startLine(own.stack, 'engineer');
      plant.addModel(echo(2));
      writeFileSync(
        join(plant.modelDirectory, 'echo/2/report.md'),
        '# Report\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n',
      );
      await using themed = await ScreenPage.open(own.chromium, { colorScheme });
      const { page } = themed;
      await page.goto(`${agent.httpUrl}/models/echo`);
      await page.locator('#faults').waitFor();
      await page.getByText('Show the training report').click();
      await page.locator('.markdown td').first().waitFor();
      expect(await themed.violations()).toEqual([]);
      for (const [name, close] of [
        ['Install…', 'Cancel'],
        ['Train…', 'Cancel'],
        ['Remove 1', 'Cancel'],
      ] as const) {
        if (name === 'Remove 1')
          await page.locator('#versions').getByRole('button', { name: '1', exact: true }).click();
        await page.getByRole('button', { name, exact: true }).click();
        await page.getByRole('dialog').waitFor();
        expect(await themed.violations()).toEqual([]);
        await page.getByRole('dialog').getByRole('button', { name: close, exact: true }).click();
      }
      for (const [view, ready] of [
        ['comparison', '.comparison h2, p:has-text("No two versions")'],
        ['try', '.try-out input'],
        ['log', '#log-title'],
      ] as const) {
        await page.goto(`${agent.httpUrl}/models/echo?view=${view}`);
        await page.locator(ready).first().waitFor();
        expect(await themed.violations()).toEqual([]);
      }
      expect(themed.errors).toEqual([]);
    },
  );
});

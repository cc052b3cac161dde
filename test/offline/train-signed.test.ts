import { expect, test } from 'vitest';
import { TestKey } from '../support/signing-keys.ts';
import { machineRows } from '../training/machine.ts';
import { machineLines, TrainingSite } from './train-fixture.ts';

test('if only signed models are used, a model is still trained and proved, and used once it is signed', async () => {
  const key = new TestKey();
  const site = new TrainingSite({ models: { trust: key.trust } });
  const csv = site.csv('day.csv', machineLines(machineRows(600, 1)));
  const { code, out } = await site.train({ csv });
  expect(code).toBe(0);
  expect(out).toMatch(/proved on cpu/);
  expect(out).toMatch(
    /models\.trust is set: before it can be used, sign it: andon models sign machine@1 -c .* --key KEY/,
  );
  expect(JSON.parse((await site.train({ csv, json: true })).out)).toMatchObject({ version: 2, mustBeSigned: true });

  const evaluate = () => site.evaluate({ csv, model: 'machine@1' });
  await expect(evaluate()).rejects.toMatchObject({ code: 'model-untrusted' });
  await key.sign(site.path('models/machine/1'));
  expect((await evaluate()).out).toContain('machine@1');
});

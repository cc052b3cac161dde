import { connectAsync } from 'mqtt';
import { expect, test, vi } from 'vitest';
import { MqttBroker } from '../../src/plant/mqtt-broker.ts';
import { describeWith } from '../support/programs.ts';
import { levelWatch, WatchedPlant } from './screen-page.ts';
import { useScreen } from './screen-test.ts';

describeWith(['chromium'], 'the page of a watch', () => {
  const use = useScreen();

  test('shows the spectra of the waveforms whose features it judges', async () => {
    const { screen, stack } = use;
    const broker = stack.use(await MqttBroker.listen({ port: 0 }));
    const waveform = {
      type: 'waveform',
      topic: 'vibration',
      sampleRate: 1024,
      unit: 'bar',
      features: { rms: { type: 'rms' }, bearing: { type: 'envelope', from: 200, to: 400, peaks: 1 } },
    };
    const cell = { type: 'mqtt', url: broker.url, tags: { vibration: waveform } };
    const watches = { motor: { ...levelWatch, tags: ['vibration.rms'] } };
    const line = stack.use(await WatchedPlant.start(watches, { anonymous: 'operator' }, { sources: { cell } }));
    const client = await connectAsync(broker.url);
    stack.defer(() => client.endAsync());
    const samples = Array.from({ length: 1024 }, (_, index) => 3 * Math.sin((2 * Math.PI * 50 * index) / 1024));
    await vi.waitUntil(
      async () => {
        await client.publishAsync('vibration', JSON.stringify(samples));
        return (await fetch(`${line.url}/api/v1/waveforms/vibration/spectrum`)).ok;
      },
      { timeout: 60_000 },
    );
    await screen.page.goto(`${line.url}/machine/motor`);
    await screen.page.locator('.chart[aria-label="Spectrum of vibration"] canvas').waitFor();
    await screen.page.locator('.chart[aria-label="Envelope spectrum of vibration"] canvas').waitFor();
    const axis = screen.page.locator('section', { hasText: 'Spectrum of vibration' }).first();
    await expect.poll(() => axis.locator('.u-legend').textContent()).toContain('Frequency');
  });
});

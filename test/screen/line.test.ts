import { afterAll, beforeAll, expect, test } from 'vitest';
import { TcpProxy } from '../support/broker-proxy.ts';
import { freePort } from '../support/free-port.ts';
import { describeWith } from '../support/programs.ts';
import { levelWatch, ScreenPage, WatchedPlant } from './screen-page.ts';
import { useScreen } from './screen-test.ts';

describeWith(['chromium'], 'the start page', () => {
  const own = useScreen();
  /** A line whose device is silent from the first test to the last one: blindness takes 30 s. */
  let silent: { readonly line: WatchedPlant; readonly screen: ScreenPage };

  beforeAll(async () => {
    silent = { line: await WatchedPlant.start(), screen: await ScreenPage.open(own.chromium) };
  });
  afterAll(() => silent.line[Symbol.asyncDispose]());

  const start = async (...options: Parameters<typeof WatchedPlant.start>) =>
    own.stack.use(await WatchedPlant.start(...options));

  test('is not green while a watch cannot judge, and names the reason', async () => {
    await silent.screen.page.goto(silent.line.url);
    await expect.poll(() => silent.screen.lamp()).toBe('green');
    await silent.line.plant.plc[Symbol.asyncDispose]();
    await expect.poll(() => silent.screen.tile('level')).toMatch(/^unknown: unknown: level: no good value for /);
    expect(await silent.screen.lamp()).not.toBe('green');
  });

  test('is green while every watch is normal, and grey with the time of the last data when the agent is killed', async () => {
    const line = await start();
    await own.screen.page.goto(line.url);
    await expect.poll(() => own.screen.lamp()).toBe('green');
    await expect.poll(() => own.screen.tile('level')).toBe('normal: normal · 0 / 1');
    await line.agent?.end('SIGKILL');
    await expect.poll(() => own.screen.tile('level')).toMatch(/^away: last data \d+:\d\d:\d\d/);
    expect(await own.screen.lamp()).toBe('off');
    expect(await own.screen.page.getByRole('alert').textContent()).toMatch(
      /No connection\. Last data at \d+:\d\d:\d\d/,
    );
    expect(await own.screen.page.locator('.tile .lamp').getAttribute('data-look')).toBe('away');
    expect(await own.screen.page.locator('main').evaluate(`document.querySelector('main').dataset.link`)).toBe('away');
  });

  test('is grey while the network is cut without a close, and continues when it is back', async () => {
    const line = await start();
    const proxy = own.stack.use(await TcpProxy.listen(Number(new URL(line.url).port)));
    await own.screen.page.goto(proxy.url.replace('mqtt:', 'http:'));
    await expect.poll(() => own.screen.lamp()).toBe('green');
    proxy.die();
    await expect.poll(() => own.screen.tile('level')).toMatch(/^away: last data/);
    expect(await own.screen.lamp()).toBe('off');
    line.setLevel(5);
    proxy.revive();
    await expect.poll(() => own.screen.tile('level')).toMatch(/^abnormal: abnormal · 5/);
    await expect.poll(() => own.screen.lamp()).toBe('red');
  });

  test('reads no list again after a short cut: the agent sends the events that the page missed', async () => {
    const line = await start();
    const proxy = own.stack.use(await TcpProxy.listen(Number(new URL(line.url).port)));
    await own.screen.page.goto(proxy.url.replace('mqtt:', 'http:'));
    await expect.poll(() => own.screen.lamp()).toBe('green');
    const requested: (string | undefined)[] = [];
    own.screen.page.on('request', (request) => {
      const path = new URL(request.url()).pathname;
      if (path === '/api/v1/events') requested.push(path, request.headers()['last-event-id']);
    });
    proxy.die();
    await expect.poll(() => own.screen.lamp()).toBe('off');
    await own.screen.page.route('**/api/v1/watches', (route) => route.abort());
    await own.screen.page.route('**/api/v1/alarms', (route) => route.abort());
    line.setLevel(5);
    proxy.revive();
    await expect.poll(() => own.screen.tile('level')).toMatch(/^abnormal: abnormal · 5/);
    await expect.poll(() => own.screen.lamp()).toBe('red');
    expect(requested.at(-1)).toMatch(/^\w{8}-\d+$/);
  });

  test('is grey 3 s after the last sign of life', async () => {
    const line = await start();
    const proxy = own.stack.use(await TcpProxy.listen(Number(new URL(line.url).port)));
    // The page's own time, which stands still between the steps of the test: a busy test machine does not count.
    const { clock } = own.screen.page;
    await clock.install({ time: 0 });
    await clock.pauseAt(3_600_000);
    await own.screen.page.goto(proxy.url.replace('mqtt:', 'http:'));
    const after = async <Seen>(ms: number, look: () => Promise<Seen>): Promise<Seen> => {
      await clock.runFor(ms);
      return look();
    };
    await expect.poll(() => after(50, () => own.screen.lamp())).toBe('green');
    // A new score is a sign of life of the last 0.2 s.
    line.setLevel(1);
    await expect.poll(() => after(50, () => own.screen.tile('level'))).toBe('normal: normal · 1 / 1');
    expect(await after(1000, () => own.screen.lamp())).toBe('green');
    proxy.die();
    expect(await after(3000, () => own.screen.tile('level'))).toMatch(/^away: last data/);
    expect(await own.screen.lamp()).toBe('off');
  });

  test('continues with an agent that was killed and started again', async () => {
    const listen = `127.0.0.1:${await freePort()}`;
    const line = await start({ level: levelWatch }, { anonymous: 'operator', listen });
    await own.screen.page.goto(line.url);
    await expect.poll(() => own.screen.lamp()).toBe('green');
    await line.agent?.end('SIGKILL');
    await expect.poll(() => own.screen.lamp()).toBe('off');
    await line.startAgent();
    await expect.poll(() => own.screen.lamp()).toBe('green');
    await expect.poll(() => own.screen.page.getByRole('alert').textContent()).toBe('');
  });

  test('has no lamp while a watch is learning, and shows how far it is', async () => {
    const line = await start({ new: { tags: ['level', 'count'], learn: { for: '10d' } } });
    await own.screen.page.goto(line.url);
    await expect.poll(() => own.screen.tile('new')).toBe('learning: learning 0%');
    expect(await own.screen.lamp()).toBe('off');
    await expect.poll(() => own.screen.page.locator('#summary').textContent()).toBe('1 learning');
  });

  test('shows 30 watches on one screen, in groups by location, the most urgent first, and finds them', async () => {
    const watches = Object.fromEntries(
      Array.from({ length: 30 }, (_, number) => [
        `m-${number}`,
        { ...levelWatch, tags: [number === 17 ? 'level' : 'calm'], location: `acme/line-${number % 3}` },
      ]),
    );
    const line = await start(watches);
    await own.screen.page.setViewportSize({ width: 1920, height: 1080 });
    await own.screen.page.goto(line.url);
    await expect.poll(() => own.screen.page.locator('.tile[data-look="normal"]').count()).toBe(30);
    await expect
      .poll(() => own.screen.page.locator('.group h2').allTextContents())
      .toEqual(['acme › line-0', 'acme › line-1', 'acme › line-2']);
    await expect
      .poll(() => own.screen.page.evaluate('document.documentElement.scrollHeight <= innerHeight'))
      .toBe(true);
    line.setLevel(5);
    await expect.poll(() => own.screen.page.locator('.tile strong').first().textContent()).toBe('m-17');
    await own.screen.page.keyboard.press('/');
    await own.screen.page.keyboard.type('m-2 line-1');
    await expect
      .poll(() => own.screen.page.locator('.tile strong').allTextContents())
      .toEqual(['m-22', 'm-25', 'm-28']);
    await expect.poll(() => new URL(own.screen.page.url()).searchParams.get('q')).toBe('m-2 line-1');
  });

  test('is blind after 30 s without a verdict', async () => {
    await expect
      .poll(() => silent.screen.tile('level'))
      .toMatch(/^blind: blind since \d+:\d\d:\d\d.*: level: no good value/);
  });
});

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { request } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { Command } from 'commander';
import { HistoryDatabase } from '../src/outbox/history/history-database.ts';
import { launchChromium } from '../test/support/browser.ts';
import { CrashPlant } from '../test/support/crash-plant.ts';
import { AgentFolder, AgentProcess } from '../test/support/start-agent.ts';
import { processTreeFigures } from './process-figures.ts';
import { median } from './statistics.ts';

/*
 * `node bench/screen.ts`: the cost of the web application. A month of 8 tags at 1 Hz, as the trends read it, and the CPU of the
 * agent while five pages are open in Chromium, and the time until the start page of 30 watches and 500 tags has all lamps.
 */

const TAGS = 8;
const DAYS = 30;
const HOUR_MS = 3_600_000;
const WATCHES = 100;
const READS = 10;

const options = new Command('node bench/screen.ts')
  .option('--seconds <n>', 'seconds of each measurement of CPU', Number, 30)
  .option('--rounds <n>', 'rounds of no page and five pages', Number, 3)
  .option('--only <part>', 'month, pages or open')
  .parse()
  .opts<{ seconds: number; rounds: number; only?: string }>();

const tags = Array.from({ length: TAGS }, (_, tag) => `t${tag}`);
if (options.only === undefined || options.only === 'month') await month();
if (options.only === undefined || options.only === 'pages') await pages();
if (options.only === undefined || options.only === 'open') await open();

/** Every second of a month in the history, with noise, read in the resolution that the page uses. */
async function month(): Promise<void> {
  await using plant = await CrashPlant.start();
  using folder = new AgentFolder();
  const { sources, models } = plant.sections('1s');
  const registers = tags.map((tag, address) => [tag, { register: 'holding', address, type: 'uint16' }]);
  folder.configure({
    sources: { plc: { ...sources.plc, history: 'all', tags: Object.fromEntries(registers) } },
    models,
    watches: {},
  });
  mkdirSync(folder.path, { recursive: true });
  const toMs = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
  const fromMs = toMs - DAYS * 24 * HOUR_MS;
  writeMonth(join(folder.path, 'history.db'), fromMs, toMs);
  await using agent = await AgentProcess.start(folder.configFile);
  const url = `${agent.httpUrl}/api/v1/history?tags=${tags.join()}&from=${fromMs}&to=${toMs}`;
  for (const resolution of ['1h', '1m']) {
    const times: number[] = [];
    let bytes = 0;
    let points = 0;
    for (let index = 0; index < READS; index += 1) {
      const startMs = performance.now();
      const body = await compressed(`${url}&resolution=${resolution}`);
      times.push(performance.now() - startMs);
      bytes = body.length;
      const { tags: series } = JSON.parse(gunzipSync(body).toString()) as { tags: { count: number[] }[] };
      points = series.reduce((sum, { count }) => sum + count.length, 0);
    }
    const [first = 0] = times;
    console.log(
      `month of ${TAGS} tags, ${resolution}: ${points} spans, ${(bytes / 1000).toFixed(0)} kB, first ${first.toFixed(0)} ms, median ${median(times).toFixed(0)} ms`,
    );
  }
}

function writeMonth(path: string, fromMs: number, toMs: number): void {
  const history = new HistoryDatabase(path, 8e9);
  for (let hourMs = fromMs; hourMs < toMs; hourMs += HOUR_MS) {
    const seconds = 3600;
    const timesMs = Float64Array.from({ length: seconds * TAGS }, (_, index) => hourMs + (index % seconds) * 1000);
    const values = timesMs.map((timeMs, index) => 4 + Math.sin(timeMs / 1e7 + index / seconds) + Math.random() / 10);
    const qualities = new Uint8Array(timesMs.length);
    history.append({ id: `${hourMs}`, tags, counts: tags.map(() => seconds), timesMs, values, qualities });
    history.keepRollups(timesMs.at(-1) ?? 0, 0);
    while (history.join());
  }
  history.close();
}

/** Body of an answer as it was sent. */
function compressed(url: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    request(url, { headers: { 'accept-encoding': 'gzip' } }, (answer) => {
      buffer(answer).then(resolve, reject);
    })
      .on('error', reject)
      .end();
  });
}

/** CPU of the agent with 100 watches of one verdict a second: without a page, and with five different ones. */
async function pages(): Promise<void> {
  await using plant = await CrashPlant.start();
  using folder = new AgentFolder();
  const watch = { model: 'echo', tags: ['level'], window: { step: '1s', hop: '1s', maxAge: '5s' }, alarm: {} };
  folder.configure({
    ...plant.sections('500ms'),
    watches: Object.fromEntries(Array.from({ length: WATCHES }, (_, index) => [`m-${index}`, watch])),
  });
  await using agent = await AgentProcess.start(folder.configFile);
  const chromium = await launchChromium();
  const paths = ['/', '/alarms', '/machine/m-1', '/trends?tags=level,count&range=1h', '/system'];
  const cpu = async (): Promise<number> => {
    const pid = agent.child.pid ?? 0;
    const before = processTreeFigures(pid).cpuMs;
    const startMs = performance.now();
    await sleep(options.seconds * 1000);
    return (100 * (processTreeFigures(pid).cpuMs - before)) / (performance.now() - startMs);
  };
  await sleep(20_000);
  const rounds: { readonly none: number; readonly five: number }[] = [];
  for (let round = 0; round < options.rounds; round += 1) {
    const none = await cpu();
    const contexts = await Promise.all(
      paths.map(async (path) => {
        const context = await chromium.newContext();
        const page = await context.newPage();
        await page.goto(agent.httpUrl + path);
        return context;
      }),
    );
    await sleep(10_000);
    const five = await cpu();
    await Promise.all(contexts.map((context) => context.close()));
    await sleep(3000);
    rounds.push({ none, five });
    console.log(`round ${round + 1}: no page ${none.toFixed(1)} %, five pages ${five.toFixed(1)} % of a core`);
  }
  const added = median(rounds.map(({ none, five }) => five - none));
  console.log(`five pages add ${added.toFixed(1)} % of a core (median of ${rounds.length})`);
  await chromium.close();
}

/** Time and bytes until every tile of 30 watches has a lamp, next to 500 tags. */
async function open(): Promise<void> {
  await using plant = await CrashPlant.start();
  using folder = new AgentFolder();
  const { sources, models } = plant.sections('500ms');
  const registers = Array.from({ length: 500 }, (_, tag) => [
    `t-${tag}`,
    { register: 'holding', address: 2 + tag, type: 'uint16' },
  ]);
  const watch = { model: 'echo', tags: ['level'], window: { step: '1s', hop: '1s', maxAge: '5s' }, alarm: {} };
  folder.configure({
    sources: { plc: { ...sources.plc, tags: { ...sources.plc.tags, ...Object.fromEntries(registers) } } },
    models,
    watches: Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`m-${index}`, watch])),
  });
  await using agent = await AgentProcess.start(folder.configFile);
  await sleep(10_000);
  const chromium = await launchChromium();
  const times: number[] = [];
  for (let round = 0; round < READS; round += 1) {
    const context = await chromium.newContext();
    const page = await context.newPage();
    const startMs = performance.now();
    await page.goto(agent.httpUrl);
    await page.locator('.tile[data-look="normal"]').nth(29).waitFor();
    times.push(performance.now() - startMs);
    await context.close();
  }
  console.log(`30 watches, 500 tags: all lamps after ${median(times).toFixed(0)} ms (median of ${READS} first loads)`);
  await chromium.close();
}

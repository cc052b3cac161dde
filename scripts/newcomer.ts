import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAsync } from 'mqtt';
import { freePort } from '../test/support/free-port.ts';
import { Mosquitto } from '../test/support/mosquitto.ts';

/*
 * `npm run newcomer`: the way of docs/getting-started.md from a register list to a watch that judges, with the commands of
 * the page, a device of pymodbus and mosquitto. Prints commands and seconds. Needs python3 with pymodbus, and mosquitto.
 *
 * Two things differ from the page: a day of learning becomes LEARN_FOR with shorter steps, and `publish` is switched on.
 */
const LEARN_FOR = '2m';
const DEADLINE_MS = 600_000;
const root = join(import.meta.dirname, '..');
const program = join(root, 'bin/andon.js');

const registers = `name;register;address;type;unit;range;scale;bit
press-1.load;holding;0;float32;kN;0..200;;
press-1.flow;holding;2;float32;l/min;0..50;;
press-1.oil;holding;4;float32;°C;0..120;;
press-1.tank;holding;6;float32;°C;0..120;;
press-1.current;holding;8;uint16;A;0..100;0,1;
press-1.speed;holding;9;int16;rpm;0..3000;;
press-1.running;holding;10;bool;;;;0
`;

type WatchJson = {
  readonly state: string;
  readonly judged_ms: number | null;
  readonly learning: { readonly progress: number; readonly command: string | null } | null;
};

await using stack = new AsyncDisposableStack();
const folder = mkdtempSync(join(tmpdir(), 'andon-newcomer-'));
stack.defer(() => rmSync(folder, { recursive: true, force: true }));
const broker = stack.use(await Mosquitto.start());
const devicePort = await freePort();
const httpPort = await freePort();
const device = spawn('python3', [join(root, 'test/support/pymodbus-press.py'), String(devicePort)], {
  stdio: 'ignore',
});
stack.defer(() => void device.kill('SIGKILL'));
await until(() => isOpen(devicePort));

writeFileSync(join(folder, 'press.csv'), registers);
const rows: (readonly [string, number])[] = [];
const startMs = performance.now();
const seconds = (sinceMs: number): number => (performance.now() - sinceMs) / 1000;

await command('init', 'andon.yaml', '--url', `tcp://127.0.0.1:${devicePort}`, '--unit', '1', '--tags', 'press.csv');
const file = join(folder, 'andon.yaml');
writeFileSync(
  file,
  readFileSync(file, 'utf8')
    .replace('for: 24h', `for: ${LEARN_FOR}`)
    .replace('scanInterval: 1s', 'scanInterval: 200ms')
    .replace('step: 1s, hop: 1s', 'step: 200ms, hop: 1s')
    .replace('listen: 127.0.0.1:8080', `listen: 127.0.0.1:${httpPort}`)
    .replace(/^# publish: .*$/m, `publish: { type: mqtt, url: 'mqtt://127.0.0.1:${broker.port}' }`),
);
await command('check', '--live', 'andon.yaml');
let agent = run();
await state('learning', ({ state: now, learning }) => now === 'learning' && learning !== null);
rows.push(['from the first command to `learning`', seconds(startMs)]);
await published('learning');
rows.push(['from the first command to the retained MQTT state `learning`', seconds(startMs)]);
const learnMs = performance.now();
const { learning } = await state('a proposal', (watch) => watch.learning?.command !== null);
rows.push([`from \`learning\` to a trained and proved model (learn.for ${LEARN_FOR})`, seconds(learnMs)]);
const activateMs = performance.now();
// The command that `andon status` and the page show.
await command(...(learning?.command ?? '').split(' ').slice(1));
await state('a verdict', isJudged);
rows.push(['from the activation to the first verdict', seconds(activateMs)]);
for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  agent.kill(signal);
  await once(agent, 'exit');
  const restartMs = performance.now();
  agent = run();
  await state('a verdict', isJudged);
  rows.push([`from a start after ${signal} to the first verdict`, seconds(restartMs)]);
}

console.log('| | s |\n| --- | --- |');
for (const [what, s] of rows) console.log(`| ${what} | ${s.toFixed(1)} |`);

/** Runs a command as its user does, and stops at the first dead end. */
async function command(...args: readonly string[]): Promise<void> {
  const beganMs = performance.now();
  const child = spawn(process.execPath, [program, ...args], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`andon ${args.join(' ')} ended with ${String(code)}`);
  rows.push([`\`andon ${args[0]}${args[0] === 'models' ? ` ${args[1]}` : ''}\``, seconds(beganMs)]);
}

function run() {
  const child = spawn(process.execPath, [program, 'run', '-c', 'andon.yaml'], { cwd: folder, stdio: 'ignore' });
  stack.defer(() => void child.kill('SIGKILL'));
  return child;
}

function isJudged({ state: now, judged_ms }: WatchJson): boolean {
  return judged_ms !== null && (now === 'normal' || now === 'abnormal');
}

/** Waits until the watch is in a state. */
async function state(what: string, fits: (watch: WatchJson) => boolean): Promise<WatchJson> {
  let found: WatchJson | undefined;
  await until(async () => {
    const response = await fetch(`http://127.0.0.1:${httpPort}/api/v1/watches`).catch(() => undefined);
    if (response?.ok !== true) return false;
    const { watches } = (await response.json()) as { readonly watches: readonly WatchJson[] };
    found = watches[0];
    return found !== undefined && fits(found);
  });
  if (found === undefined) throw new Error(`${what} was not reached`);
  return found;
}

/** Waits for the state of the watch as a subscriber. */
async function published(wanted: string): Promise<void> {
  const client = await connectAsync(`mqtt://127.0.0.1:${broker.port}`);
  const received = new Promise<void>((resolve) => {
    client.on('message', (_topic, payload) => {
      if ((JSON.parse(payload.toString()) as WatchJson).state === wanted) resolve();
    });
  });
  await client.subscribeAsync('andon/v1/+/watch/#');
  await received;
  await client.endAsync();
}

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const isConnected = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return isConnected;
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + DEADLINE_MS;
  while (!(await isTrue())) {
    if (performance.now() > endMs) throw new Error(`No progress for ${DEADLINE_MS / 60_000} minutes`);
    await sleep(50);
  }
}

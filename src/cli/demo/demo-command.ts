import type { Command } from 'commander';
import { jsonOption, positiveNumber, runs } from '../output/command.ts';
import { openSync } from 'node:fs';
import { request } from 'undici';
import { type RunningAgent, startAgent } from '../../app/agent.ts';
import { LiveEvents } from '../../contracts/live-events.ts';
import { ConfigCheckThread } from '../../config-editing/config-check-thread.ts';
import { ConfigurationFile } from '../../config-editing/configuration-file.ts';
import { loadConfig } from '../../config/config-file.ts';
import { startBrokerProcess } from '../../plant/broker-process.ts';
import { startPlantProcess } from '../../plant/plant-process.ts';
import { demoTimings } from '../../plant/pump-scenario.ts';
import { SystemClock, sleep } from '../../platform/clock.ts';
import { configCheckEntry } from '../../platform/entries.ts';
import { errorMessage } from '../../platform/errors.ts';
import { createLogger, RecentLog } from '../../platform/log.ts';
import { systemdServiceManager } from '../../platform/systemd-notify.ts';
import { type DemoSetup, prepareDemo } from './demo-setup.ts';
import { DemoStory } from './demo-story.ts';
import type { Output } from '../output/output.ts';
import { systemDeps } from '../../platform/deps.ts';

const BEAT_MS = 3_000;
/** How long the demo's operator takes to walk to the screen. */
const OPERATOR_DELAY_MS = 4_000;
const VIBRATION_TOPIC = 'acme/lyon/filling/line-2/pump-1/vibration';

/** Defines `andon demo`. */
export function defineDemo(command: Command): void {
  command
    .option('--seconds <n>', 'stop after this time', positiveNumber)
    .addOption(jsonOption)
    .action(runs(demoCommand));
}

/**
 * `andon demo`: plant and broker in child processes, the agent in this one, and the story in the terminal.
 * @returns 0 after Ctrl-C or `--seconds`.
 */
export async function demoCommand(
  options: { readonly seconds?: number; readonly json?: boolean },
  output: Output,
): Promise<number> {
  const clock = new SystemClock();
  const startedMs = clock.monotonicMs();
  const story = new DemoStory({
    say: options.json === true ? () => undefined : (line) => output.out(line),
    elapsedMs: () => clock.monotonicMs() - startedMs,
    color: process.stdout.isTTY && process.env['NO_COLOR'] === undefined,
  });
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ending.abort());

  const setup = await prepareDemo();
  const recentLog = new RecentLog();
  const { log, flush } = createLogger({
    level: 'info',
    fd: openSync(setup.logFile, 'a'),
    onDrop: () => undefined,
    recent: recentLog,
  });
  const deps = { ...systemDeps(log), recentLog };
  {
    await using _broker = await startBrokerProcess(setup.mqttPort);
    await using _plant = await startPlantProcess(
      {
        host: '127.0.0.1',
        modbusPort: setup.modbusPort,
        mqttUrl: `mqtt://127.0.0.1:${setup.mqttPort}`,
        vibrationTopic: VIBRATION_TOPIC,
        stepMs: 100,
        seed: 1,
        timings: demoTimings,
      },
      { onPhase: (phase) => story.phase(phase), onExit: (error) => story.note('plant', errorMessage(error)) },
      clock,
    );
    const events = new LiveEvents();
    events.subscribe((event) => story.take(event));
    const loaded = await loadConfig(setup.configFile);
    await using checks = new ConfigCheckThread(configCheckEntry, deps);
    const editor = new ConfigurationFile({ loaded, checks, reload: undefined, deps });
    await using agent = await startAgent(loaded, deps, systemdServiceManager({}, log), editor, events);
    if (options.json !== true) output.out(opening(setup, agent.httpUrl()));
    playOperator(agent, events, story, clock, ending.signal);
    const limitMs = options.seconds === undefined ? Infinity : options.seconds * 1000;
    while (!ending.signal.aborted && clock.monotonicMs() - startedMs < limitMs) {
      await sleep(clock, Math.min(BEAT_MS, Math.max(0, limitMs - (clock.monotonicMs() - startedMs))), ending.signal);
      if (!ending.signal.aborted) story.beat();
    }
    story.note('andon', 'stopping: agent, plant and broker');
  }
  await flush();
  output.out(
    options.json === true ? JSON.stringify({ ...story.counts, directory: setup.directory }) : closing(setup, story),
  );
  return 0;
}

/** Acknowledges each alarm after a while, over HTTP as an operator's screen would. */
function playOperator(
  agent: RunningAgent,
  events: LiveEvents,
  story: DemoStory,
  clock: SystemClock,
  signal: AbortSignal,
): void {
  events.subscribe((event) => {
    if (event.type !== 'alarm' || event.transition.state !== 'unacknowledged') return;
    const path = `/api/v1/alarms/${event.transition.watch}/acknowledge`;
    void sleep(clock, OPERATOR_DELAY_MS, signal).then(async () => {
      const url = agent.httpUrl();
      if (url === undefined || signal.aborted) return;
      const acknowledgement = request(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"by":"operator"}',
      });
      await acknowledgement
        .then(({ body }) => body.dump())
        .catch((error: unknown) => story.note('operator', `could not acknowledge: ${errorMessage(error)}`));
    });
  });
}

function opening(setup: DemoSetup, httpUrl: string | undefined): string {
  return `andon demo: a simulated bottling line, watched by the bundled models
  plant      pump and filler, Modbus tcp://127.0.0.1:${setup.modbusPort}, vibration sensor on mqtt://127.0.0.1:${setup.mqttPort}
  dashboard  ${httpUrl ?? 'not listening, see the log'}
  subscribe  mosquitto_sub -p ${setup.mqttPort} -v -t 'andon/v1/demo/#'
  records    ${setup.directory}
  The bearing wears after 25 s; Ctrl-C ends it.
`;
}

function closing(setup: DemoSetup, story: DemoStory): string {
  const { verdicts, alarmsRaised, alarmsAcknowledged, alarmsCleared } = story.counts;
  const sum = verdicts.normal + verdicts.abnormal + verdicts.unknown;
  return `
${sum} verdicts (${verdicts.normal} normal, ${verdicts.abnormal} abnormal, ${verdicts.unknown} unknown); alarms: ${alarmsRaised} raised, ${alarmsAcknowledged} acknowledged, ${alarmsCleared} cleared.
Every one of them is a record on the disk:
  npx andon outbox stats -c ${setup.configFile}
  npx andon outbox export -c ${setup.configFile}`;
}

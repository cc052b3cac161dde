import { api, readJson } from './agent-api.ts';
import {
  alarms,
  apply,
  connection,
  flood,
  health,
  isLive,
  lastDataMs,
  load,
  noteAgentTime,
  refreshAlarms,
  refreshWatches,
  tick,
} from './agent-state.ts';
import type { AgentEvent, Alarm, Flood, Health, Watch } from './api-types.ts';
import { openStream } from './live-stream.ts';
import { readSession } from './session.ts';
import { messageOf } from './message-of.ts';

const RECONNECT_MS = 1000;
const HEALTH_REFRESH_MS = 3000;
/** Floods and rollouts change slowly, and no event reports them. */
const LISTS_REFRESH_MS = 10_000;
/** Events are shown together, so that many in a second cost few renderings. */
const SHOW_MS = 100;

/** Follows the agent for ever: connects, loads, shows events, and connects again. */
export async function followAgent(): Promise<never> {
  setInterval(tick, 1000);
  setInterval(() => void refresh(refreshHealth), HEALTH_REFRESH_MS);
  setInterval(() => void refresh(refreshLists), LISTS_REFRESH_MS);
  alarms.subscribe(refreshFloodSoon);
  for (;;) {
    try {
      await follow();
      connection.value = { state: 'lost', reason: 'the agent ended the connection' };
    } catch (error) {
      connection.value = { state: 'lost', reason: messageOf(error) };
    }
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
  }
}

/** Id of the last event that is shown; undefined before the lists were read. */
let lastId: string | undefined;

/**
 * Subscribes, then loads: events that arrive meanwhile are shown after it. If the agent still has every event since the last
 * connection, nothing is loaded. Returns when the connection is lost.
 */
async function follow(): Promise<void> {
  await readSession();
  let waiting: { readonly event: AgentEvent; readonly id: string }[] = [];
  let isLoaded = false;
  let showing: ReturnType<typeof setTimeout> | undefined;
  const show = (): void => {
    showing = undefined;
    const events = waiting;
    waiting = [];
    apply(events.map(({ event }) => event));
    lastId = events.at(-1)?.id ?? lastId;
  };
  const stream = await openStream({
    lastId,
    take: (event, id) => {
      waiting.push({ event, id });
      if (isLoaded) showing ??= setTimeout(show, SHOW_MS);
    },
    alive: () => (lastDataMs.value = Date.now()),
  });
  try {
    if (!stream.isResumed) lastId = undefined;
    const loading = stream.isResumed ? refreshHealth() : loadAll();
    // If the connection is lost first, nothing waits for the answers.
    loading.catch(() => undefined);
    isLoaded = await Promise.race([loading.then(() => true), stream.ended.then(() => false)]);
    if (!isLoaded) return;
    lastId ??= stream.startId;
    show();
    connection.value = { state: 'live' };
    await stream.ended;
  } finally {
    clearTimeout(showing);
    stream.close();
    stream.ended.catch(() => undefined);
  }
}

async function loadAll(): Promise<void> {
  const [, alarmList, watchList] = await Promise.all([refreshHealth(), readAlarms(), readWatches()]);
  load({ ...alarmList, ...watchList });
}

const readAlarms = () => readJson<{ alarms: Alarm[]; flood: Flood }>('/api/v1/alarms');
const readWatches = () => readJson<{ watches: Watch[] }>('/api/v1/watches');

async function refreshHealth(): Promise<void> {
  const answer = await api('/healthz');
  noteAgentTime(answer.headers.get('date'));
  health.value = (await answer.json()) as Health;
}

/** Reads what no event reports: floods that end, present reasons, rollouts, drift, new watches. */
async function refreshLists(): Promise<void> {
  const [listed, { watches }] = await Promise.all([readAlarms(), readWatches()]);
  flood.value = listed.flood;
  refreshAlarms(listed.alarms);
  refreshWatches(watches);
}

let floodRefresh: ReturnType<typeof setTimeout> | undefined;
/** The number of alarms in the last minutes is read again after an alarm; floods have many. */
function refreshFloodSoon(): void {
  floodRefresh ??= setTimeout(() => {
    floodRefresh = undefined;
    void refresh(async () => {
      flood.value = (await readAlarms()).flood;
    });
  }, 500);
}

/** A failed request is not reported: the stream reports a lost connection. */
async function refresh(read: () => Promise<void>): Promise<void> {
  if (!isLive.value) return;
  try {
    await read();
  } catch {
    // As above.
  }
}

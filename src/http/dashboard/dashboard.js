// The dashboard: the HTTP API and its event stream as a page. No framework, nothing from elsewhere.
import { api, json } from './agent-api.js';
import { openStream } from './live-stream.js';
import { clock, element, make } from './page-elements.js';
import {
  addWatch,
  clearWatches,
  showConnection,
  showRollout,
  showSummary,
  showTag,
  showVerdict,
  watchStates,
} from './watch-view.js';

const HEALTH_REFRESH_MS = 3000;
const ROLLOUTS_REFRESH_MS = 10_000;
const RECONNECT_MS = 1000;
/** The number of alarms in the last minutes is read again this long after an alarm, as floods have many. */
const FLOOD_REFRESH_MS = 500;

const alarms = new Map();
let health = { status: 'starting', components: [] };
let flood = { is_flood: false, raised: 0, by_cause: {} };
let floodTimer;
let isLive = false;

function takeAlarm(alarm) {
  // An event from before the list was read, or a late answer, has a lower number.
  if (alarm.number < (alarms.get(alarm.alarm)?.number ?? 0)) return;
  alarms.set(alarm.alarm, alarm);
  showAlarms();
  floodTimer ??= setTimeout(() => {
    floodTimer = undefined;
    refreshFlood().catch(() => undefined);
  }, FLOOD_REFRESH_MS);
}

async function refreshFlood() {
  ({ flood } = await json('/api/v1/alarms'));
  showAlarms();
}

function showAlarms() {
  const open = [...alarms.values()].filter(({ state }) => state !== 'normal');
  const none = make('p', { className: 'none', textContent: 'none' });
  const groups = flood.is_flood ? alarmGroups(open) : open.map(alarmRow);
  element('alarms').replaceChildren(...(open.length === 0 ? [none] : groups));
  const causes = Object.entries(flood.by_cause).map(([cause, number]) => `${cause}: ${number}`);
  element('flood').hidden = !flood.is_flood;
  element('flood').textContent = `Alarm flood: ${flood.raised} alarms in ten minutes (${causes.join(', ')})`;
  showLamp();
}

/** In a flood, alarms with one cause are one line that opens. */
function alarmGroups(open) {
  const isOpen = new Set([...document.querySelectorAll('#alarms details[open]')].map(({ dataset }) => dataset.cause));
  return Object.entries(Object.groupBy(open, ({ cause }) => cause)).map(([cause, group]) => {
    const summary = make('summary', { textContent: `${cause}: ${group.length} alarm${group.length === 1 ? '' : 's'}` });
    return make('details', { dataset: { cause }, open: isOpen.has(cause) }, summary, ...group.map(alarmRow));
  });
}

function alarmRow(alarm) {
  const act = (name, body = {}) =>
    make('button', {
      textContent: name,
      onclick: async () => {
        try {
          const path = alarm.alarm.split('/').map(encodeURIComponent).join('/');
          const answer = await api(`/api/v1/alarms/${path}/${name.split(' ')[0]}`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ by: 'dashboard', ...body }),
          });
          takeAlarm(await answer.json());
        } catch (error) {
          element('summary').textContent = error.message;
        }
      },
    });
  const acknowledgeable = alarm.state === 'unacknowledged' || alarm.state === 'returned-unacknowledged';
  return make(
    'div',
    { className: 'alarm', dataset: { state: alarm.state } },
    make('strong', { textContent: alarm.watch ?? alarm.alarm }),
    make('span', { textContent: alarm.state }),
    make('p', { textContent: alarm.message }),
    make('small', { textContent: `${alarm.priority}, ${clock(alarm.timestamp_ms)}` }),
    ...(acknowledgeable ? [act('acknowledge')] : []),
    alarm.state === 'shelved' ? act('unshelve') : act('shelve 30 min', { duration: '30m' }),
  );
}

async function refreshHealth() {
  health = await json('/healthz');
  element('agent').textContent = health.agent;
  document.title = `${health.agent}: andon`;
  element('components').replaceChildren(
    ...health.components.map(({ name, status, reason, since_ms }) =>
      make(
        'tr',
        {},
        make('td', { textContent: name }),
        make('td', { textContent: status, dataset: { status } }),
        make('td', { textContent: clock(since_ms) }),
        make('td', { textContent: reason }),
      ),
    ),
  );
  showLamp();
}

/** Green only while every watch is normal: a machine that nothing judges is not known to be well. */
function lampColor(alarmStates) {
  if (!isLive) return '';
  if (alarmStates.includes('unacknowledged') || health.status === 'failed') return 'red';
  const isOpen = alarmStates.some((state) => state === 'acknowledged' || state === 'returned-unacknowledged');
  const states = watchStates();
  if (isOpen || health.status === 'degraded' || states.includes('abnormal') || states.includes('blind')) return 'amber';
  return health.status === 'ok' && states.every((state) => state === 'normal') ? 'green' : '';
}

function showLamp() {
  const alarmStates = [...alarms.values()].map(({ state }) => state);
  const on = lampColor(alarmStates);
  element('lamp').dataset.on = on;
  element('lamp').setAttribute('aria-label', `signal lamp: ${on || 'off'}`);
  if (!isLive) return;
  const open = alarmStates.filter((state) => state !== 'normal').length;
  const states = Object.entries(Object.groupBy(watchStates(), (state) => state));
  const watches = states.map(([state, { length }]) => `${length} ${state}`).join(', ');
  element('summary').textContent =
    `${open} open alarm${open === 1 ? '' : 's'}, watches: ${watches || 'none'}, health ${health.status}`;
}

function connected(yes, reason = '') {
  isLive = yes;
  element('link').className = yes ? '' : 'away';
  element('link').textContent = yes ? 'live' : 'not connected';
  if (!yes && reason !== '') element('summary').textContent = `not connected: ${reason}`;
  showConnection(yes);
  showLamp();
}

function show(type, data, isReplayed = false) {
  if (type === 'verdict') showVerdict(data, isReplayed);
  else if (type === 'tags') for (const reading of data) showTag(reading, isReplayed);
  else if (type === 'alarm') takeAlarm(data);
  else if (type === 'watch') showSummary(data);
  if (type !== 'tags') showLamp();
}

async function load() {
  await refreshHealth();
  const listed = await json('/api/v1/alarms');
  flood = listed.flood;
  alarms.clear();
  for (const alarm of listed.alarms) alarms.set(alarm.alarm, alarm);
  const { watches } = await json('/api/v1/watches');
  const pasts = await Promise.all(
    watches.map(({ watch }) => json(`/api/v1/watches/${encodeURIComponent(watch)}/history`)),
  );
  clearWatches();
  for (const [index, overview] of watches.entries()) addWatch(overview, pasts[index]);
}

/** Subscribes, then loads: what happens meanwhile is shown after it. Returns when the connection is lost. */
async function follow() {
  const early = [];
  let take = (type, data) => early.push([type, data]);
  const stream = await openStream(api, (type, data) => take(type, data));
  try {
    const loading = load();
    // If the connection is lost first, nothing waits for the answers.
    loading.catch(() => undefined);
    const isLoaded = await Promise.race([loading.then(() => true), stream.ended.then(() => false)]);
    if (!isLoaded) return;
    for (const [type, data] of early) show(type, data, true);
    take = show;
    showAlarms();
    connected(true);
    await stream.ended;
  } finally {
    stream.close();
    stream.ended.catch(() => undefined);
  }
}

// A lost connection is reported by the stream.
setInterval(() => isLive && refreshHealth().catch(() => undefined), HEALTH_REFRESH_MS);
setInterval(async () => {
  if (!isLive) return;
  try {
    await refreshFlood();
    (await json('/api/v1/watches')).watches.forEach(showRollout);
  } catch {
    // As above.
  }
}, ROLLOUTS_REFRESH_MS);
for (;;) {
  try {
    await follow();
    connected(false, 'the agent ended the connection');
  } catch (error) {
    connected(false, error.message);
  }
  await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
}

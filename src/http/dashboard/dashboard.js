// The dashboard: what the HTTP API and its event stream say, as a page. No framework, nothing from elsewhere.
import uPlot from './uplot.js';

/** Points kept a chart: an hour at one verdict a second. */
const POINTS_MAX = 3600;
const HEALTH_REFRESH_MS = 3000;
const ROLLOUTS_REFRESH_MS = 10_000;
const RECONNECT_MS = 2000;

const element = (id) => document.getElementById(id);
/** @type {Map<string, { chart: uPlot, data: number[][], node: HTMLElement, tags: Map<string, HTMLElement> }>} */
const watches = new Map();
const alarms = new Map();

async function api(path, options = {}) {
  const token = sessionStorage.getItem('token');
  const headers = { ...options.headers, ...(token === null ? {} : { authorization: `Bearer ${token}` }) };
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) {
    await askForToken();
    return api(path, options);
  }
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer;
}

const json = async (path) => (await api(path)).json();

let asking;
function askForToken() {
  asking ??= new Promise((resolve) => {
    const dialog = element('login');
    dialog.addEventListener(
      'close',
      () => {
        sessionStorage.setItem('token', element('token').value);
        asking = undefined;
        resolve();
      },
      { once: true },
    );
    dialog.showModal();
  });
  return asking;
}

const format = (value) => (value === null || value === undefined ? '–' : Number(value.toPrecision(4)).toString());
const clock = (ms) => new Date(ms).toLocaleTimeString();

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'dataset') Object.assign(node.dataset, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}

function addWatch(overview, past) {
  const verdict = make('span', { className: 'verdict' });
  const rollout = make('small', { textContent: rolloutText(overview.rollout) });
  const plot = make('div');
  const tags = new Map(overview.tags.map((reading) => [reading.tag, make('div', { className: 'tag' })]));
  const node = make(
    'article',
    { className: 'watch' },
    make(
      'div',
      {},
      make('h3', { textContent: overview.watch }),
      verdict,
      make('small', { textContent: overview.model }),
      rollout,
    ),
    plot,
    make('div', { className: 'tags' }, ...tags.values()),
  );
  element('watches').append(node);
  const data = [[], [], []];
  for (const { timestamp_ms, score, threshold } of past.verdicts) push(data, timestamp_ms, score, threshold);
  const watch = { node, verdict, rollout, tags, data, shares: new Map(), chart: makeChart(plot, data) };
  watches.set(overview.watch, watch);
  for (const reading of overview.tags) showTag(reading);
  if (overview.last_verdict !== null) showVerdict(overview.last_verdict, false);
}

/** That two versions judge its windows, and how alike. */
function rolloutText(rollout) {
  if (rollout === null) return '';
  const { kind, candidate, incumbent, windows, agreement, stopped } = rollout;
  if (stopped !== null) return `${kind} of version ${candidate} stopped: ${stopped}`;
  const agree = agreement === null ? '' : `, they agree on ${(100 * agreement).toFixed(1)} % of ${windows} windows`;
  return `${kind}: version ${candidate} beside ${incumbent}${agree}`;
}

async function refreshRollouts() {
  for (const { watch, rollout } of (await json('/api/v1/watches')).watches) {
    const node = watches.get(watch)?.rollout;
    if (node !== undefined) node.textContent = rolloutText(rollout);
  }
}

function push(data, timestampMs, score, threshold) {
  data[0].push(timestampMs / 1000);
  data[1].push(score);
  data[2].push(threshold);
  if (data[0].length > POINTS_MAX) for (const column of data) column.shift();
}

function makeChart(parent, data) {
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const axis = {
    stroke: () => getComputedStyle(document.body).color,
    grid: { stroke: '#8884', width: 1 },
    ticks: { stroke: '#8884' },
  };
  const chart = new uPlot(
    {
      width: parent.clientWidth || 800,
      height: 170,
      legend: { show: false },
      cursor: { y: false },
      axes: [axis, { ...axis, size: 56 }],
      scales: { y: { range: (_chart, low, high) => padded(low, high) } },
      series: [
        {},
        { label: 'score', stroke: '#3d7fd6', width: 2, points: { show: false } },
        { label: 'threshold', stroke: resolveColor('--red'), width: 1, dash: [6, 4], points: { show: false } },
      ],
    },
    data,
    parent,
  );
  new ResizeObserver(() => chart.setSize({ width: parent.clientWidth, height: 170 })).observe(parent);
  return chart;

  /** A canvas takes no light-dark(): let the browser work it out. */
  function resolveColor(name) {
    const probe = make('i');
    probe.style.color = color(name);
    parent.append(probe);
    const resolved = getComputedStyle(probe).color;
    probe.remove();
    return resolved;
  }
}

/** Room around score and threshold; from zero up where zero is near. */
function padded(low, high) {
  if (low === null || high === null) return [0, 1];
  const room = Math.max((high - low) * 0.15, Math.abs(high) * 0.01, 0.05);
  return [low >= 0 && low < high / 2 ? 0 : low - room, high + room];
}

function showVerdict(verdict, live = true) {
  const watch = watches.get(verdict.watch);
  if (watch === undefined) return;
  watch.verdict.dataset.verdict = verdict.verdict;
  watch.verdict.textContent =
    verdict.verdict === 'unknown'
      ? `unknown: ${verdict.reason}`
      : `${verdict.verdict}, score ${format(verdict.score)} (threshold ${format(verdict.threshold)})`;
  const shares = new Map(verdict.contributions?.map(({ tag, share }) => [tag, share]));
  for (const [tag, node] of watch.tags) {
    const bar = node.querySelector('.share');
    if (bar !== null)
      bar.style.width = `${verdict.verdict === 'abnormal' ? Math.round(100 * (shares.get(tag) ?? 0)) : 0}%`;
  }
  if (!live) return;
  push(watch.data, verdict.timestamp_ms, verdict.score, verdict.threshold);
  watch.chart.setData(watch.data);
}

function showTag({ tag, value, text, unit, quality, reason }) {
  for (const watch of watches.values()) {
    const node = watch.tags.get(tag);
    if (node === undefined) continue;
    node.dataset.quality = quality;
    node.title = quality === 'good' ? `${tag}: good` : `${tag}: ${quality} (${reason})`;
    if (node.firstChild === null)
      node.append(make('span', { textContent: tag }), make('b'), make('div', { className: 'share' }));
    node.querySelector('b').textContent = quality === 'bad' ? `– ${reason}` : `${text ?? format(value)} ${unit}`;
  }
}

function showAlarms() {
  const open = [...alarms.values()].filter(({ state }) => state !== 'normal');
  element('alarms').replaceChildren(
    ...(open.length === 0 ? [make('p', { className: 'none', textContent: 'none' })] : open.map(alarmRow)),
  );
  showLamp();
}

function alarmRow(alarm) {
  const act = (name, body = {}) =>
    make('button', {
      textContent: name,
      onclick: async () => {
        try {
          const answer = await api(
            `/api/v1/alarms/${alarm.alarm.split('/').map(encodeURIComponent).join('/')}/${name.split(' ')[0]}`,
            {
              method: 'POST',
              headers: { 'content-type': 'application/json' },
              body: JSON.stringify({ by: 'dashboard', ...body }),
            },
          );
          const changed = await answer.json();
          alarms.set(changed.alarm, changed);
          showAlarms();
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

let health = { status: 'starting', components: [] };
async function refreshHealth() {
  try {
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
  } catch {
    connected(false);
  }
}

function showLamp() {
  const states = [...alarms.values()].map(({ state }) => state);
  const red = states.includes('unacknowledged') || health.status === 'failed';
  const amber =
    states.some((state) => state === 'acknowledged' || state === 'returned-unacknowledged') || health.status !== 'ok';
  const on = red ? 'red' : amber ? 'amber' : 'green';
  element('lamp').dataset.on = on;
  element('lamp').setAttribute('aria-label', `signal lamp: ${on}`);
  const open = states.filter((state) => state !== 'normal').length;
  element('summary').textContent =
    `${open} open alarm${open === 1 ? '' : 's'}, ${watches.size} watches, health ${health.status}`;
}

function connected(yes) {
  element('link').className = yes ? '' : 'away';
  element('link').textContent = yes ? 'live' : 'not connected';
  // A page that receives nothing knows nothing.
  if (!yes) element('lamp').dataset.on = '';
}

/** Server-sent events over fetch, as EventSource cannot send a token. */
async function follow() {
  const reader = (await api('/api/v1/events')).body.pipeThrough(new TextDecoderStream()).getReader();
  connected(true);
  for (let text = ''; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (text + value).split('\n\n');
    text = blocks.pop();
    for (const block of blocks) take(block);
  }
}

function take(block) {
  const type = /^event: (.*)$/m.exec(block)?.[1];
  const data = /^data: (.*)$/m.exec(block)?.[1];
  if (type === undefined || data === undefined) return;
  const event = JSON.parse(data);
  if (type === 'verdict') showVerdict(event);
  else if (type === 'tags') event.forEach(showTag);
  else if (type === 'alarm') {
    alarms.set(event.alarm, event);
    showAlarms();
  }
}

async function load() {
  alarms.clear();
  for (const alarm of (await json('/api/v1/alarms')).alarms) alarms.set(alarm.alarm, alarm);
  watches.clear();
  element('watches').replaceChildren();
  for (const overview of (await json('/api/v1/watches')).watches)
    addWatch(overview, await json(`/api/v1/watches/${encodeURIComponent(overview.watch)}/history`));
  showAlarms();
}

setInterval(refreshHealth, HEALTH_REFRESH_MS);
// What is not connected is told by the health.
setInterval(() => refreshRollouts().catch(() => undefined), ROLLOUTS_REFRESH_MS);
for (;;) {
  try {
    await refreshHealth();
    await load();
    await follow();
  } catch (error) {
    element('summary').textContent = error.message;
  }
  connected(false);
  await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
}

// A watch on the page: its state, its chart and its tags.
import { clock, element, format, make } from './page-elements.js';
import uPlot from './uplot.js';

/** Points kept in a chart: an hour at one verdict a second. */
const POINTS_MAX = 3600;

/** @type {Map<string, object>} By id of the watch. */
const watches = new Map();

export const watchStates = () => [...watches.values()].map(({ summary }) => summary.state);

export function clearWatches() {
  watches.clear();
  element('watches').replaceChildren();
}

export function addWatch(overview, past) {
  const state = make('span', { className: 'state' });
  const learning = make('div', { className: 'learning' });
  const rollout = make('small');
  const plot = make('div');
  const tags = new Map(overview.tags.map((reading) => [reading.tag, make('div', { className: 'tag' })]));
  const node = make(
    'article',
    { className: 'watch' },
    make(
      'div',
      {},
      make('i', { className: 'dot' }),
      make('h3', { textContent: overview.watch }),
      state,
      make('small', { textContent: overview.model }),
      rollout,
    ),
    learning,
    plot,
    make('div', { className: 'tags' }, ...tags.values()),
  );
  element('watches').append(node);
  const data = [[], [], []];
  for (const { timestamp_ms, score, threshold } of past.verdicts) push(data, timestamp_ms, score, threshold);
  const chart = makeChart(plot, data);
  const watch = {
    node,
    state,
    learning,
    rollout,
    tags,
    data,
    chart,
    summary: overview,
    verdict: overview.last_verdict,
  };
  watches.set(overview.watch, watch);
  for (const reading of overview.tags) showTag(reading);
  showRollout(overview);
  showShares(watch);
  render(watch);
}

/** Two versions that judge the windows of a watch, and how often they agree. */
export function showRollout({ watch, rollout }) {
  const node = watches.get(watch)?.rollout;
  if (node !== undefined) node.textContent = rollout === null ? '' : rolloutText(rollout);
}

function rolloutText({ kind, candidate, incumbent, windows, agreement, stopped }) {
  if (stopped !== null) return `${kind} of version ${candidate} stopped: ${stopped}`;
  const agree = agreement === null ? '' : `, they agree on ${(100 * agreement).toFixed(1)} % of ${windows} windows`;
  return `${kind}: version ${candidate} next to ${incumbent}${agree}`;
}

/** Shows the state of a watch as the agent reports it. */
export function showSummary(summary) {
  const watch = watches.get(summary.watch);
  if (watch === undefined) return;
  watch.summary = { ...summary, judged_ms: Math.max(summary.judged_ms ?? 0, watch.summary.judged_ms ?? 0) || null };
  render(watch);
}

/** @param isReplayed True for an event from before the page was loaded: one that the history has is then left out. */
export function showVerdict(verdict, isReplayed = false) {
  const watch = watches.get(verdict.watch);
  if (watch === undefined || (isReplayed && verdict.timestamp_ms <= (watch.verdict?.timestamp_ms ?? 0))) return;
  watch.verdict = verdict;
  watch.summary = after(watch.summary, verdict);
  push(watch.data, verdict.timestamp_ms, verdict.score, verdict.threshold);
  watch.chart.setData(watch.data);
  showShares(watch);
  render(watch);
}

/** The state after a verdict. Only the agent knows when a watch is blind or learning. */
function after(summary, { verdict, reason, timestamp_ms }) {
  if (verdict !== 'unknown') return { ...summary, state: verdict, reason: '', judged_ms: timestamp_ms };
  if (summary.state === 'learning' || summary.state === 'blind') return summary;
  return { ...summary, state: 'unknown', reason };
}

/** A page that receives nothing shows no state: what it has is from before. */
export function showConnection(isLive) {
  document.body.dataset.link = isLive ? 'live' : 'away';
  for (const watch of watches.values()) render(watch);
}

function render({ node, state, learning, summary, verdict }) {
  const isLive = document.body.dataset.link === 'live';
  node.dataset.state = isLive ? summary.state : 'away';
  state.textContent = isLive ? stateText(summary, verdict) : `not connected${lastText(summary.judged_ms)}`;
  learning.replaceChildren(...(summary.learning === null ? [] : learningNodes(summary.learning)));
}

function stateText({ state, reason, since_ms, judged_ms, learning }, verdict) {
  switch (state) {
    case 'learning':
      return learning === null ? 'learning' : `learning, ${Math.floor(100 * learning.progress)} %`;
    case 'unknown':
      return `unknown: ${reason}${lastText(judged_ms)}`;
    case 'blind':
      return `blind since ${clock(since_ms)}: ${reason}${lastText(judged_ms)}`;
    default:
      return `${state}, score ${format(verdict?.score)} (threshold ${format(verdict?.threshold)})`;
  }
}

function lastText(judgedMs) {
  return judgedMs === null ? '' : `, last data ${clock(judgedMs)}`;
}

/** How far the watch is in learning, the states of the machine that it saw, and the command that activates the model. */
function learningNodes({ progress, reason, command, modes }) {
  const seen = Object.entries(Object.groupBy(modes, ({ tag }) => tag)).map(([tag, values]) => {
    const total = values.reduce((sum, { seen_ms }) => sum + seen_ms, 0);
    const shares = values.map(
      ({ value, name, seen_ms }) => `${name ?? value} (${Math.round((100 * seen_ms) / total)} %)`,
    );
    return `${tag} ${shares.join(', ')}`;
  });
  return [
    make('progress', { value: progress, max: 1 }),
    make('p', { textContent: reason }),
    ...(seen.length === 0 ? [] : [make('p', { textContent: `seen: ${seen.join('; ')}` })]),
    ...(command === null ? [] : [make('code', { textContent: command })]),
  ];
}

function showShares({ tags, verdict }) {
  const shares = new Map(verdict?.contributions?.map(({ tag, share }) => [tag, share]));
  for (const [tag, node] of tags) {
    const bar = node.querySelector('.share');
    if (bar !== null)
      bar.style.width = `${verdict?.verdict === 'abnormal' ? Math.round(100 * (shares.get(tag) ?? 0)) : 0}%`;
  }
}

/** @param isReplayed True for an event from before the page was loaded: an older value is then left out. */
export function showTag({ tag, value, text, unit, quality, reason, timestamp_ms }, isReplayed = false) {
  for (const watch of watches.values()) {
    const node = watch.tags.get(tag);
    if (node === undefined || (isReplayed && timestamp_ms < Number(node.dataset.timeMs))) continue;
    node.dataset.timeMs = timestamp_ms;
    node.dataset.quality = quality;
    node.title = `${tag}: ${quality === 'good' ? 'good' : `${quality} (${reason})`}, ${clock(timestamp_ms)}`;
    if (node.firstChild === null)
      node.append(make('span', { textContent: tag }), make('b'), make('div', { className: 'share' }));
    node.querySelector('b').textContent = quality === 'bad' ? `– ${reason}` : `${text ?? format(value)} ${unit}`;
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

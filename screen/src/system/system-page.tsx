import type { JSX } from 'preact';
import { readJson } from '../agent/agent-api.ts';
import { health, nowMs } from '../agent/agent-state.ts';
import type { Health, Outbox } from '../agent/api-types.ts';
import { session } from '../agent/session.ts';
import { Reason } from '../parts/reason.tsx';
import { useAnswer } from '../parts/use-answer.ts';
import { formatBytes, formatDateTime, formatMoment, formatNumber, formatSpan } from '../texts/format.ts';
import { t, word } from '../texts/language.ts';
import { BackupPanel } from './backup-panel.tsx';
import { LogPanel } from './log-panel.tsx';
import { RewindForm } from './rewind-form.tsx';
import { Problem } from '../parts/problem.tsx';

const REFRESH_MS = 5000;
/** More components without a remark are a closed list. */
const QUIET_MAX = 24;
const ranks = { failed: 0, degraded: 1, starting: 2, ok: 3 } as const;

/** Health with its reasons, what waits for the uplinks, room on the disk, versions. */
export function SystemPage(): JSX.Element {
  return (
    <>
      <div class="tools">
        <h1>{t('nav.system')}</h1>
      </div>
      <div class="columns">
        <HealthTable />
        <OutboxPanel />
      </div>
      {may('administer') && <BackupPanel />}
      {may('maintain') && <LogPanel />}
    </>
  );
}

const may = (permission: string): boolean => session.value.permissions.includes(permission);

/** Components in trouble or with a remark, and the others in a list of their own that is closed if it is long. */
function HealthTable(): JSX.Element {
  const components = [...(health.value?.components ?? [])].sort((a, b) => ranks[a.status] - ranks[b.status]);
  const isQuiet = ({ status, reason }: Component): boolean => status === 'ok' && reason === '';
  const quiet = components.filter(isQuiet);
  const others = components.filter((component) => !isQuiet(component));
  return (
    <section class="panel" id="components" aria-labelledby="health-title">
      <h2 id="health-title">{t('system.health')}</h2>
      {others.length > 0 && <Components components={others} />}
      <details class="quiet" open={quiet.length <= QUIET_MAX}>
        <summary>{t('system.quiet', { count: quiet.length })}</summary>
        <Components components={quiet} />
      </details>
    </section>
  );
}

type Component = Health['components'][number];

function Components({ components }: { readonly components: readonly Component[] }): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="group" aria-labelledby="health-title">
      <table>
        <thead>
          <tr>
            <th scope="col">{t('system.component')}</th>
            <th scope="col">{t('system.status')}</th>
            <th scope="col">{t('system.since')}</th>
            <th scope="col">{t('system.reason')}</th>
          </tr>
        </thead>
        <tbody>
          {components.map(({ name, status, since_ms, ...reason }) => (
            <tr key={name}>
              <td>{name}</td>
              <td>
                <span class="status" data-status={status}>
                  {word('health', status)}
                </span>
              </td>
              <td>{formatMoment(since_ms, nowMs.value)}</td>
              <td class="reason">
                <Reason of={reason} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Uplinks and the disk, read every 5 s. */
function OutboxPanel(): JSX.Element {
  const { data: outbox, problem } = useAnswer('outbox', () => readJson<Outbox>('/api/v1/outbox'), REFRESH_MS);
  return (
    <section class="panel" aria-labelledby="outbox-title">
      <h2 id="outbox-title">{t('system.outbox')}</h2>
      <Problem text={problem} />
      {outbox.value !== undefined && <OutboxFacts outbox={outbox.value} />}
      <dl class="facts">
        <Versions />
        <dt>{t('system.agent')}</dt>
        <dd>{health.value?.agent ?? '–'}</dd>
      </dl>
    </section>
  );
}

function Versions(): JSX.Element {
  const { data } = useAnswer('versions', () => readJson<Readonly<Record<string, string>>>('/api/v1/versions'));
  const { andon = health.value?.version ?? '–', system = '–', ...others } = data.value ?? {};
  const libraries = Object.entries(others).map(([name, version]) => `${name} ${version}`);
  return (
    <>
      <dt>{t('system.version')}</dt>
      <dd>andon {andon}</dd>
      <dt>{t('system.libraries')}</dt>
      <dd>{libraries.join(', ')}</dd>
      <dt>{t('system.machine')}</dt>
      <dd>{system}</dd>
    </>
  );
}

function OutboxFacts({ outbox }: { readonly outbox: Outbox }): JSX.Element {
  const { bytes, bytes_max, disk_free_bytes, disk_bytes, hours_left, uplinks } = outbox;
  return (
    <>
      <table id="uplinks">
        <thead>
          <tr>
            <th scope="col">{t('system.uplink')}</th>
            <th scope="col" class="number">
              {t('system.waiting')}
            </th>
            <th scope="col">{t('system.oldest')}</th>
          </tr>
        </thead>
        <tbody>
          {uplinks.map(({ uplink, waiting, oldest_waiting_ms }) => (
            <tr key={uplink}>
              <td>
                {uplink}
                {may('maintain') && <RewindForm uplink={uplink} />}
              </td>
              <td class="number">{formatNumber(waiting)}</td>
              <td>{oldest_waiting_ms === null ? '–' : formatSpan(nowMs.value - oldest_waiting_ms)}</td>
            </tr>
          ))}
          {uplinks.length === 0 && (
            <tr>
              <td colSpan={3}>{t('system.noUplinks')}</td>
            </tr>
          )}
        </tbody>
      </table>
      <dl class="facts">
        <dt>{t('system.stored')}</dt>
        <dd>
          {formatBytes(bytes)} / {formatBytes(bytes_max)}
        </dd>
        <dt>{t('system.hoursLeft')}</dt>
        <dd>{hours_left === null ? '–' : formatSpan(hours_left * 3_600_000)}</dd>
        <dt>{t('system.oldestRecord')}</dt>
        <dd>{outbox.oldest_ms === null ? '–' : formatDateTime(outbox.oldest_ms)}</dd>
        <dt>{t('system.deadLetters')}</dt>
        <dd data-bad={outbox.dead_letters > 0}>{outbox.dead_letters}</dd>
        <dt>{t('system.lost')}</dt>
        <dd data-bad={outbox.lost > 0}>{outbox.lost}</dd>
        <dt>{t('system.disk')}</dt>
        <dd>
          {formatBytes(disk_free_bytes)} / {formatBytes(disk_bytes)}
        </dd>
      </dl>
    </>
  );
}

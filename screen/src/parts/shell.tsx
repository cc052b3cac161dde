import type { ComponentChildren, JSX } from 'preact';
import { useSignalEffect } from '@preact/signals';
import { connection, health, isLive, lastDataMs, nowMs } from '../agent/agent-state.ts';
import { askLogin } from '../agent/login-request.ts';
import { logOut, session } from '../agent/session.ts';
import { formatMoment, formatTime } from '../texts/format.ts';
import { chooseLanguage, language, languages, t, word } from '../texts/language.ts';
import { openAlarms, unacknowledgedCount } from '../agent/plant-lamp.ts';
import { PriorityMark } from './priority-mark.tsx';
import { follow, type Route, route } from './router.ts';
import { StackLight } from './stack-light.tsx';
import { chooseTheme, theme, themes } from './theme.ts';

/** Header, connection banner and the page. */
export function Shell({ children }: { readonly children: ComponentChildren }): JSX.Element {
  useTitle();
  return (
    <>
      <a class="skip" href="#page">
        {t('nav.skip')}
      </a>
      <header class="bar" data-link={isLive.value ? 'live' : 'away'}>
        <StackLight />
        <strong class="agent">{health.value?.agent ?? 'andon'}</strong>
        <Navigation />
        <AlarmCounts />
        <ConnectionState />
        <Preferences />
      </header>
      <ConnectionBanner />
      <main id="page" data-link={isLive.value ? 'live' : 'away'}>
        {children}
      </main>
    </>
  );
}

/** The number of alarms that wait is visible in the tab, also if another page is open. */
function useTitle(): void {
  useSignalEffect(() => {
    const count = unacknowledgedCount.value;
    const name = health.value?.agent ?? 'andon';
    const mark = connection.value.state === 'lost' ? '⚠ ' : count > 0 ? `(${count}) ` : '';
    document.title = `${mark}${name} · andon`;
  });
}

const pages = [
  { to: '/', text: 'nav.line', pages: ['line', 'machine'] },
  { to: '/alarms', text: 'nav.alarms', pages: ['alarms', 'journal', 'statistics'] },
  { to: '/trends', text: 'nav.trends', pages: ['trends'] },
  { to: '/models', text: 'nav.models', pages: ['models'] },
  { to: '/configuration', text: 'nav.configuration', pages: ['configuration'] },
  { to: '/system', text: 'nav.system', pages: ['system'] },
] as const satisfies readonly { to: string; text: string; pages: readonly Route['page'][] }[];

function Navigation(): JSX.Element {
  const present = route.value.page;
  return (
    <nav aria-label={t('nav.pages')}>
      {pages.map(({ to, text, pages: own }) => (
        <a key={to} href={to} onClick={follow} aria-current={own.some((each) => each === present) ? 'page' : undefined}>
          {t(text)}
        </a>
      ))}
    </nav>
  );
}

/** Open alarms by priority. A priority without alarms is grey, so that the places do not move. */
function AlarmCounts(): JSX.Element {
  const counts = (['critical', 'high', 'medium', 'low'] as const).map((priority) => {
    const open = openAlarms.value.filter((alarm) => alarm.priority === priority);
    return { priority, open: open.length, isWaiting: open.some(({ state }) => state !== 'acknowledged') };
  });
  return (
    <a class="counts" href="/alarms" onClick={follow}>
      <b class="unseen">{t('nav.alarms')}</b>
      {counts.map(({ priority, open, isWaiting }) => (
        <span key={priority} data-none={open === 0}>
          <PriorityMark priority={priority} isFilled={isWaiting} />
          {open}
        </span>
      ))}
    </a>
  );
}

function ConnectionState(): JSX.Element {
  return (
    <span id="link" data-state={connection.value.state}>
      <i />
      <span>{t(`connection.${connection.value.state}`)}</span>
      <time>{formatTime(nowMs.value)}</time>
    </span>
  );
}

function ConnectionBanner(): JSX.Element {
  const { value } = connection;
  if (value.state !== 'lost') return <div role="alert" />;
  const since = lastDataMs.value;
  const last =
    since === undefined ? t('connection.never') : t('connection.last', { time: formatMoment(since, nowMs.value) });
  return (
    <div role="alert" class="banner lost">
      <strong>{t('connection.lost')}</strong> {last} {t('connection.retry')} <small>({value.reason})</small>
    </div>
  );
}

function Preferences(): JSX.Element {
  const { user, role, login, permissions } = session.value;
  return (
    <div class="preferences">
      <label>
        <span class="unseen">{t('preference.language')}</span>
        <select value={language.value} onChange={(event) => void chooseLanguage(event.currentTarget.value)}>
          {Object.entries(languages).map(([code, name]) => (
            <option key={code} value={code}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span class="unseen">{t('preference.theme')}</span>
        <select value={theme.value} onChange={(event) => chooseTheme(event.currentTarget.value)}>
          {themes.map((each) => (
            <option key={each} value={each}>
              {t(`theme.${each}`)}
            </option>
          ))}
        </select>
      </label>
      {user === null ? (
        (login || !permissions.includes('operate')) && (
          <button type="button" onClick={() => void askLogin().catch(() => undefined)}>
            {t('login.title')}
          </button>
        )
      ) : (
        <button type="button" title={t('login.out')} onClick={() => void logOut()}>
          {user} <small>{word('role', role ?? '')}</small>
        </button>
      )}
    </div>
  );
}

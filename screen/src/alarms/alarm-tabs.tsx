import type { ComponentChildren, JSX } from 'preact';
import { follow, route } from '../parts/router.ts';
import { t } from '../texts/language.ts';

const tabs = [
  { page: 'alarms', to: '/alarms', text: 'alarms.active' },
  { page: 'journal', to: '/alarms/journal', text: 'alarms.journal' },
  { page: 'statistics', to: '/alarms/statistics', text: 'alarms.statistics' },
] as const;

/** Head of the pages about alarms: links between them, and the tools of the page. */
export function AlarmTabs({ children }: { readonly children?: ComponentChildren }): JSX.Element {
  return (
    <div class="tools">
      <h1>{t('nav.alarms')}</h1>
      <nav class="tabs" aria-label={t('nav.alarms')}>
        {tabs.map(({ page, to, text }) => (
          <a key={page} href={to} onClick={follow} aria-current={route.value.page === page ? 'page' : undefined}>
            {t(text)}
          </a>
        ))}
      </nav>
      {children}
    </div>
  );
}

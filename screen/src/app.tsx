import { useSignal } from '@preact/signals';
import type { ComponentType, JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { LinePage } from './line/line-page.tsx';
import { LoginDialog } from './parts/login-dialog.tsx';
import { type Route, route } from './parts/router.ts';
import { Shell } from './parts/shell.tsx';
import { t } from './texts/language.ts';
import { messageOf } from './agent/message-of.ts';

/** Pages that are loaded when they are opened, so that the start page is small. */
const later: Readonly<Record<string, () => Promise<ComponentType>>> = {
  alarms: async () => (await import('./alarms/alarms-page.tsx')).AlarmsPage,
  journal: async () => (await import('./alarms/journal-page.tsx')).JournalPage,
  statistics: async () => (await import('./alarms/statistics-page.tsx')).StatisticsPage,
  machine: async () => (await import('./machine/machine-page.tsx')).MachinePage,
  trends: async () => (await import('./trends/trends-page.tsx')).TrendsPage,
  models: async () => (await import('./models/models-page.tsx')).ModelsPage,
  configuration: async () => (await import('./configuration/configuration-page.tsx')).ConfigurationPage,
  system: async () => (await import('./system/system-page.tsx')).SystemPage,
  kiosk: async () => (await import('./kiosk/kiosk-page.tsx')).KioskPage,
};

export function App(): JSX.Element {
  const { page } = route.value;
  if (page === 'kiosk')
    return (
      <>
        <Page page={page} />
        <LoginDialog />
      </>
    );
  return (
    <Shell>
      <Page page={page} />
      <LoginDialog />
    </Shell>
  );
}

function Page({ page }: { readonly page: Route['page'] }): JSX.Element {
  const loaded = useSignal<{ readonly page: string; readonly component: ComponentType } | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  useEffect(() => {
    const load = later[page];
    if (load === undefined) return;
    load().then(
      (component) => (loaded.value = { page, component }),
      (error: unknown) => (problem.value = messageOf(error)),
    );
  }, [page, loaded, problem]);
  if (page === 'line') return <LinePage />;
  if (later[page] === undefined) return <p class="empty">{t('page.unknown')}</p>;
  if (loaded.value?.page !== page)
    return <p class="empty">{problem.value === undefined ? t('page.loading') : problem}</p>;
  const Loaded = loaded.value.component;
  return <Loaded />;
}

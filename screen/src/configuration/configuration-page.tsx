import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { nowMs } from '../agent/agent-state.ts';
import { session } from '../agent/session.ts';
import { follow, query } from '../parts/router.ts';
import { formatMoment } from '../texts/format.ts';
import { t, word } from '../texts/language.ts';
import { ApplyDialog } from './apply-dialog.tsx';
import {
  checkWhileEditing,
  configuration,
  isApplying,
  isChanged,
  isEditable,
  problem,
  readConfiguration,
  takeFile,
} from './draft.ts';
import { FileTab } from './file-tab.tsx';
import { NodesTab } from './nodes-tab.tsx';
import { RegistersTab } from './registers-tab.tsx';
import { SourcesTab } from './sources-tab.tsx';
import { TagsTab } from './tags-tab.tsx';
import { TopicsTab } from './topics-tab.tsx';

const REFRESH_MS = 5000;
const tabs = [
  { name: 'sources', text: 'configuration.sources', component: SourcesTab },
  { name: 'tags', text: 'configuration.tags', component: TagsTab },
  { name: 'registers', text: 'configuration.registers', component: RegistersTab },
  { name: 'topics', text: 'configuration.topics', component: TopicsTab },
  { name: 'nodes', text: 'configuration.nodes', component: NodesTab },
  { name: 'file', text: 'configuration.file', component: FileTab },
] as const;

/** Sources, the file and its changes. */
export function ConfigurationPage(): JSX.Element {
  const isApplyOpen = useSignal(false);
  useEffect(() => {
    void readConfiguration();
    const timer = setInterval(() => void readConfiguration(), REFRESH_MS);
    const endChecks = checkWhileEditing();
    return () => {
      clearInterval(timer);
      endChecks();
    };
  }, []);
  const tab = tabs.find(({ name }) => name === query.value.get('tab')) ?? tabs[0];
  const Tab = tab.component;
  return (
    <>
      <div class="tools">
        <h1>{t('nav.configuration')}</h1>
        <nav class="tabs" aria-label={t('nav.configuration')}>
          {tabs.map(({ name, text }) => (
            <a
              key={name}
              href={`/configuration?tab=${name}`}
              onClick={follow}
              aria-current={name === tab.name ? 'page' : undefined}
            >
              {t(text)}
            </a>
          ))}
        </nav>
        {isEditable.value && (
          <>
            <button
              type="button"
              class="main"
              id="compare"
              disabled={!isChanged.value || isApplying.value}
              onClick={() => (isApplyOpen.value = true)}
            >
              {t('configuration.compare')}
            </button>
            <button type="button" id="discard" disabled={!isChanged.value} onClick={takeFile}>
              {t('configuration.discard')}
            </button>
          </>
        )}
      </div>
      <FileState />
      <Tab />
      {isApplyOpen.value && <ApplyDialog onClose={() => (isApplyOpen.value = false)} />}
    </>
  );
}

/** Which file it is, whether it is in use, why it cannot be changed, and what became of the last change. */
function FileState(): JSX.Element {
  const { value } = configuration;
  if (value === undefined)
    return <p class={problem.value === undefined ? 'empty' : 'problem'}>{problem.value || t('page.loading')}</p>;
  const { file, version, generation, is_in_use: isInUse, read_only: readOnly, last_apply: last } = value;
  const mayConfigure = session.value.permissions.includes('configure');
  return (
    <div class="file-state">
      <p>
        <code>{file}</code> <small>SHA-256 {version.slice(0, 12)}…</small>{' '}
        <small>{t('configuration.generation', { generation })}</small>
      </p>
      {readOnly !== null && (
        <p id="read-only" class="note">
          {t('configuration.readOnly', { reason: readOnly })}
        </p>
      )}
      {!mayConfigure && <p class="note">{t('configuration.needsRole')}</p>}
      {!isInUse && <p class="note bad">{t('configuration.notInUse')}</p>}
      {last !== null && (
        <p id="last-apply" class="note" data-state={last.state} role="status">
          <strong>{word('applied', last.state)}</strong> {formatMoment(last.timestamp_ms, nowMs.value)} {last.by}{' '}
          {last.changed.length > 0 && <code>{last.changed.join(', ')}</code>} <span class="reason">{last.reason}</span>
        </p>
      )}
    </div>
  );
}

import { useSignal } from '@preact/signals';
import type { ComponentType, JSX } from 'preact';
import { useEffect, useMemo } from 'preact/hooks';
import { readJson } from '../agent/agent-api.ts';
import { t } from '../texts/language.ts';
import { configuration, edit, isChecked, isEditable, problems, text } from './draft.ts';
import { ProblemList } from './problem-list.tsx';
import type { SchemaNode } from './schema-completion.ts';
import type { YamlEditorProps } from './yaml-editor.tsx';

type Editor = ComponentType<YamlEditorProps>;

/** The file as text, with the problems that the agent finds in it. */
export function FileTab(): JSX.Element {
  const editor = useSignal<Editor | undefined>(undefined);
  const shown = useSignal<{ readonly line: number } | undefined>(undefined);
  // Without the schema the editor works, and proposes nothing.
  const schema = useMemo(() => readJson<SchemaNode>('/api/v1/configuration/schema').catch(() => undefined), []);
  useEffect(() => {
    void import('./yaml-editor.tsx').then(({ YamlEditor }) => (editor.value = YamlEditor));
  }, [editor]);
  const Loaded = editor.value;
  if (configuration.value === undefined || Loaded === undefined) return <p class="empty">{t('page.loading')}</p>;
  return (
    <section class="file" aria-label={t('configuration.file')}>
      <Loaded
        label={configuration.value.file}
        text={text}
        isReadOnly={!isEditable.value}
        problems={problems.value}
        schema={schema}
        shown={shown.value}
        onChange={edit}
      />
      {isEditable.value && (
        <p class="hint" id="check" role="status" data-checked={isChecked.value}>
          {!isChecked.value
            ? t('configuration.checking')
            : problems.value.length === 0
              ? t('configuration.ok')
              : t('configuration.problemCount', { count: problems.value.length })}{' '}
          {t('configuration.completionHint')}
        </p>
      )}
      {problems.value.length > 0 && (
        <ProblemList problems={problems.value} onShow={(line) => (shown.value = { line })} />
      )}
    </section>
  );
}

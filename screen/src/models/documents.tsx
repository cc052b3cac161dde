import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import type { VersionDetail } from '../agent/api-types.ts';
import { useAnswer } from '../parts/use-answer.ts';
import { t } from '../texts/language.ts';
import { Markdown } from './markdown.tsx';
import { readDocument } from './model-directory.ts';
import { Problem } from '../parts/problem.tsx';

const REPORT = 'report.md';

/** The report of the training, and the names of the other documents. */
export function Documents({ detail }: { readonly detail: VersionDetail }): JSX.Element | null {
  const isOpen = useSignal(false);
  const { model, version, documents } = detail;
  if (!documents.some(({ file }) => file === REPORT)) return null;
  return (
    <details class="report" onToggle={(event) => (isOpen.value = event.currentTarget.open)}>
      <summary>{t('models.showReport')}</summary>
      {isOpen.value && <Report model={model} version={version} />}
    </details>
  );
}

function Report({ model, version }: Pick<VersionDetail, 'model' | 'version'>): JSX.Element {
  const read = (file: string) => readDocument(model, version, file);
  const { data, problem } = useAnswer(`${model}@${version}`, () => read(REPORT));
  if (problem.value !== undefined) return <Problem text={problem} />;
  if (data.value === undefined) return <p class="empty">{t('page.loading')}</p>;
  return <Markdown text={data.value} readFile={read} />;
}

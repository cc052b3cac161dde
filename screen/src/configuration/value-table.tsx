import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { formatNumber } from '../texts/format.ts';
import { t } from '../texts/language.ts';
import { entryOf, withEntry } from './document-edit.ts';
import { edit, text } from './draft.ts';
import { Problem } from '../parts/problem.tsx';
import { messageOf } from '../agent/message-of.ts';

/** A value that could become a tag. */
export type TagCandidate = {
  /** Place of the value in its message or node, for the reader. */
  readonly path: string;
  /** Name that the tag could have. */
  readonly name: string;
  readonly value: number | null;
  /** Keys of the tag that reads the value. */
  readonly tag: Readonly<Record<string, unknown>>;
};

/** Values, each with a button that makes it a tag of the source. */
export function ValueTable({
  source,
  values,
}: {
  readonly source: string;
  readonly values: readonly TagCandidate[];
}): JSX.Element {
  const problem = useSignal<string | undefined>(undefined);
  const add = (name: string, tag: TagCandidate['tag']): void => {
    try {
      edit(withEntry(text.value, ['sources', source, 'tags', name], tag, 'line'));
      problem.value = undefined;
    } catch (error) {
      problem.value = messageOf(error);
    }
  };
  return (
    <>
      <Problem text={problem} />
      {values.length > 0 && (
        <table id="candidates">
          <thead>
            <tr>
              <th scope="col">{t('configuration.path')}</th>
              <th scope="col" class="number">
                {t('configuration.value')}
              </th>
              <th scope="col">{t('configuration.tagName')}</th>
              <th scope="col">
                <span class="unseen">{t('configuration.addTag')}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {values.map((each) => (
              <ValueRow key={each.name} source={source} candidate={each} onAdd={add} />
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

function ValueRow({
  source,
  candidate: { path, name, value, tag },
  onAdd,
}: {
  readonly source: string;
  readonly candidate: TagCandidate;
  readonly onAdd: (name: string, tag: TagCandidate['tag']) => void;
}): JSX.Element {
  const own = useSignal(name);
  const wanted = own.value.trim();
  const isThere = wanted !== '' && entryOf(text.value, ['sources', source, 'tags', wanted]) !== undefined;
  const act = isThere ? t('configuration.inFile') : t('configuration.addTag');
  return (
    <tr data-path={path}>
      <td>
        <code>{path}</code>
      </td>
      <td class="number">{value === null ? '–' : formatNumber(value)}</td>
      <td>
        <input
          aria-label={`${t('configuration.tagName')}: ${path}`}
          value={own}
          onInput={(event) => (own.value = event.currentTarget.value)}
          maxLength={128}
        />
      </td>
      <td>
        <button
          type="button"
          aria-label={`${act}: ${path}`}
          disabled={wanted === '' || isThere}
          onClick={() => onAdd(wanted, tag)}
        >
          {act}
        </button>
      </td>
    </tr>
  );
}

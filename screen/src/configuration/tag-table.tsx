import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { t } from '../texts/language.ts';
import { cellText, cellValue, choicesOf, type TagColumn } from './tag-cells.ts';
import type { TagChange } from './tag-edit.ts';

/** Rows of one page: each cell is a field, and a thousand rows would take seconds. */
const ROWS_MAX = 100;

type Fields = Readonly<Record<string, unknown>>;
type OnChange = (change: TagChange) => boolean;

/** A row for each tag, and a field for each key. */
export function TagTable({
  source,
  tags,
  columns,
  problems,
  onChange,
}: {
  readonly source: string;
  readonly tags: readonly (readonly [string, Fields])[];
  readonly columns: readonly TagColumn[];
  /** Message by `<tag>.<key>`. */
  readonly problems: ReadonlyMap<string, string>;
  /** @returns False if the change is refused. */
  readonly onChange: OnChange;
}): JSX.Element {
  const search = useSignal('');
  const first = useSignal(0);
  const word = search.value.trim().toLowerCase();
  const found = tags.filter(([name]) => name.toLowerCase().includes(word));
  const start = first.value < found.length ? first.value : 0;
  return (
    <>
      <div class="tools">
        <input
          type="search"
          aria-label={t('configuration.searchTags')}
          placeholder={t('configuration.searchTags')}
          value={search}
          onInput={(event) => (search.value = event.currentTarget.value)}
        />
        <span id="tag-count">{t('configuration.tagCount', { count: found.length })}</span>
        {found.length > ROWS_MAX && (
          <button type="button" onClick={() => (first.value = start + ROWS_MAX)}>
            {t('configuration.nextTags', { from: start + 1, to: Math.min(start + ROWS_MAX, found.length) })}
          </button>
        )}
      </div>
      <div class="scroll tag-table" tabIndex={0} role="group" aria-label={t('configuration.tagsOf', { source })}>
        <table id="tags">
          <thead>
            <tr>
              <th scope="col">{t('configuration.tagName')}</th>
              {columns.map(({ key, node, isRequired }) => (
                <th key={key} scope="col" title={node.description}>
                  <code>{key}</code>
                  {isRequired && '*'}
                </th>
              ))}
              <th scope="col">
                <span class="unseen">{t('configuration.remove')}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {found.slice(start, start + ROWS_MAX).map(([name, fields]) => (
              <TagRow
                key={name}
                name={name}
                fields={fields}
                columns={columns}
                problems={problems}
                onChange={onChange}
              />
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function TagRow({
  name,
  fields,
  columns,
  problems,
  onChange,
}: {
  readonly name: string;
  readonly fields: Fields;
  readonly columns: readonly TagColumn[];
  readonly problems: ReadonlyMap<string, string>;
  readonly onChange: OnChange;
}): JSX.Element {
  return (
    <tr data-tag={name}>
      <td>
        <Cell
          label={`${name}: ${t('configuration.tagName')}`}
          text={name}
          problem={problems.get(name)}
          onCommit={(to) => to.trim() !== '' && onChange({ kind: 'rename', name, to: to.trim() })}
        />
      </td>
      {columns.map(({ key, node }) => (
        <td key={key} data-key={key}>
          <Cell
            label={`${name}: ${key}`}
            text={cellText(fields[key])}
            choices={choicesOf(node)}
            placeholder={cellText(node.default)}
            problem={problems.get(`${name}.${key}`)}
            onCommit={(text) => onChange({ kind: 'set', name, fields: { [key]: cellValue(text, node) } })}
          />
        </td>
      ))}
      <td>
        <button
          type="button"
          aria-label={`${t('configuration.remove')}: ${name}`}
          onClick={() => onChange({ kind: 'remove', name })}
        >
          ✕
        </button>
      </td>
    </tr>
  );
}

/** A field. The browser keeps its text while a person types; `text` replaces it when the file has changed. */
function Cell({
  label,
  text,
  choices,
  placeholder,
  problem,
  onCommit,
}: {
  readonly label: string;
  readonly text: string;
  readonly choices?: readonly string[] | undefined;
  readonly placeholder?: string;
  readonly problem: string | undefined;
  readonly onCommit: (text: string) => boolean;
}): JSX.Element {
  const field = useRef<HTMLInputElement & HTMLSelectElement>(null);
  useEffect(() => {
    if (field.current !== null && field.current.value !== text) field.current.value = text;
  }, [text]);
  const commit = ({ currentTarget }: { readonly currentTarget: { value: string } }): void => {
    if (currentTarget.value !== text && !onCommit(currentTarget.value)) currentTarget.value = text;
  };
  const common = {
    ref: field,
    'aria-label': label,
    'aria-invalid': problem === undefined ? undefined : ('true' as const),
    title: problem,
    onChange: commit,
  };
  if (choices === undefined)
    return <input {...common} defaultValue={text} placeholder={placeholder} autocomplete="off" spellcheck={false} />;
  const known = text === '' || choices.includes(text) ? choices : [text, ...choices];
  return (
    <select {...common} defaultValue={text}>
      <option value="">{placeholder === '' ? '–' : placeholder}</option>
      {known.map((choice) => (
        <option key={choice} value={choice}>
          {choice}
        </option>
      ))}
    </select>
  );
}

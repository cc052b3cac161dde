import { computed, useSignal } from '@preact/signals';
import type { JSX, TargetedSubmitEvent } from 'preact';
import { useEffect } from 'preact/hooks';
import { parseDocument } from 'yaml';
import { readJson } from '../agent/agent-api.ts';
import { query, setQuery } from '../parts/router.ts';
import { t } from '../texts/language.ts';
import { entryOf } from './document-edit.ts';
import { edit, isEditable, problems, text } from './draft.ts';
import { PasteDialog } from './paste-dialog.tsx';
import { ProblemList } from './problem-list.tsx';
import type { SchemaNode } from './schema-completion.ts';
import { shownColumns, type TagColumn, tagColumns } from './tag-cells.ts';
import { type TagChange, withTags } from './tag-edit.ts';
import { TagTable } from './tag-table.tsx';
import { Problem } from '../parts/problem.tsx';
import { messageOf } from '../agent/message-of.ts';

type Fields = Readonly<Record<string, unknown>>;
type SourceTags = {
  readonly type: string;
  readonly file: string | undefined;
  readonly tags: readonly (readonly [string, Fields])[];
};

/** Sources of the text with the tags that it has itself; undefined while it is not valid YAML. */
const sources = computed((): ReadonlyMap<string, SourceTags> | undefined => {
  try {
    if (parseDocument(text.value).errors.length > 0) return undefined;
    return new Map(
      Object.entries(fieldsOf(entryOf(text.value, ['sources']))).map(([id, source]) => [id, tagsOf(source)]),
    );
  } catch {
    return undefined;
  }
});

/** Tags of a source as a table. Each change goes into the text, which a person then compares and applies. */
export function TagsTab(): JSX.Element {
  const schema = useSignal<SchemaNode | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  useEffect(() => {
    readJson<SchemaNode>('/api/v1/configuration/schema').then(
      (answer) => (schema.value = answer),
      (error: unknown) => (problem.value = messageOf(error)),
    );
  }, [schema, problem]);
  if (!isEditable.value) return <p class="note">{t('configuration.needsRole')}</p>;
  const all = sources.value;
  if (all === undefined) return <p class="problem">{t('configuration.fixFirst')}</p>;
  const id = [query.value.get('source') ?? '', ...all.keys()].find((each) => all.has(each));
  const source = id === undefined ? undefined : all.get(id);
  if (id === undefined || source === undefined) return <p class="empty">{t('configuration.noSources')}</p>;
  const change = (...changes: readonly TagChange[]): boolean => {
    try {
      edit(withTags(text.value, id, changes));
      problem.value = undefined;
      return true;
    } catch (error) {
      problem.value = messageOf(error);
      return false;
    }
  };
  return (
    <>
      <Problem text={problem} />
      {schema.value !== undefined && (
        <SourceTable
          key={id}
          id={id}
          ids={[...all.keys()]}
          source={source}
          columns={tagColumns(schema.value, source.type)}
          onChange={change}
        />
      )}
    </>
  );
}

function SourceTable({
  id,
  ids,
  source: { type, file, tags },
  columns,
  onChange,
}: {
  readonly id: string;
  readonly ids: readonly string[];
  readonly source: SourceTags;
  readonly columns: readonly TagColumn[];
  /** @returns False if the changes are refused. */
  readonly onChange: (...changes: readonly TagChange[]) => boolean;
}): JSX.Element {
  const hasAllColumns = useSignal(false);
  const isPasting = useSignal(false);
  const prefix = `sources.${id}.tags`;
  const own = problems.value.filter(({ path, severity }) => path.startsWith(prefix) && severity !== 'refused');
  const fields = tags.map(([, each]) => each);
  return (
    <>
      <div class="watch-form">
        <label>
          {t('configuration.source')}
          <select value={id} onChange={(event) => setQuery({ source: event.currentTarget.value })}>
            {ids.map((each) => (
              <option key={each}>{each}</option>
            ))}
          </select>
        </label>
        <NewTag onAdd={(name) => onChange({ kind: 'set', name, fields: {} })} />
        <button type="button" onClick={() => (isPasting.value = true)}>
          {t('configuration.paste')}
        </button>
        <label class="check">
          <input
            type="checkbox"
            checked={hasAllColumns}
            onChange={(event) => (hasAllColumns.value = event.currentTarget.checked)}
          />
          {t('configuration.allColumns')}
        </label>
        {file !== undefined && <p class="hint">{t('configuration.tagFile', { file })}</p>}
      </div>
      <TagTable
        source={id}
        tags={tags}
        columns={hasAllColumns.value ? columns : shownColumns(columns, fields)}
        problems={new Map(own.map(({ path, message }) => [path.slice(prefix.length + 1), message]))}
        onChange={onChange}
      />
      {own.length > 0 && <ProblemList problems={own} />}
      {isPasting.value && (
        <PasteDialog
          type={type}
          known={new Set(tags.map(([name]) => name))}
          onTake={(read) => onChange(...read.map((tag): TagChange => ({ kind: 'set', ...tag })))}
          onClose={() => (isPasting.value = false)}
        />
      )}
    </>
  );
}

function NewTag({ onAdd }: { readonly onAdd: (name: string) => boolean }): JSX.Element {
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const input = event.currentTarget.querySelector('input');
    const name = input?.value.trim() ?? '';
    if (input !== null && name !== '' && onAdd(name)) input.value = '';
  };
  return (
    <form class="inline" onSubmit={submit}>
      <label>
        {t('configuration.newTag')}
        <input name="name" maxLength={128} />
      </label>
      <button type="submit">{t('configuration.add')}</button>
    </form>
  );
}

function tagsOf(source: unknown): SourceTags {
  const { type, tags } = fieldsOf(source);
  const { file, ...inline } = fieldsOf(tags);
  // A tag of the name `file` is a map.
  const isFile = typeof file === 'string';
  return {
    type: typeof type === 'string' ? type : '',
    file: isFile ? file : undefined,
    tags: Object.entries(isFile ? inline : fieldsOf(tags)).map(([name, fields]) => [name, fieldsOf(fields)]),
  };
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

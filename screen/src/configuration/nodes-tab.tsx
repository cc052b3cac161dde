import { type Signal, useSignal } from '@preact/signals';
import type { JSX, TargetedSubmitEvent } from 'preact';
import { useEffect } from 'preact/hooks';
import { readJson, sendJson } from '../agent/agent-api.ts';
import type { NodeListing, NodeReading, SourceState } from '../agent/api-types.ts';
import { useAnswer } from '../parts/use-answer.ts';
import { t } from '../texts/language.ts';
import { isEditable } from './draft.ts';
import { ValueTable } from './value-table.tsx';
import { Problem } from '../parts/problem.tsx';
import { messageOf } from '../agent/message-of.ts';

const REFRESH_MS = 1000;

/** A node that was opened. The root has no address and no name. */
type Opened = { readonly source: string; readonly node: string | undefined; readonly name: string };
type Listings = Signal<ReadonlyMap<string, NodeListing>>;
/** What the tree shows and changes. */
type Tree = {
  readonly listings: Listings;
  readonly chosen: string | undefined;
  readonly onOpen: (node: string, name: string) => void;
  readonly onClose: (node: string) => void;
};

/** The address space of an OPC UA server. Each number of a variable becomes a tag. */
export function NodesTab(): JSX.Element {
  const { data } = useAnswer('sources', () =>
    readJson<{ readonly sources: readonly SourceState[] }>('/api/v1/sources'),
  );
  const opened = useSignal<Opened | undefined>(undefined);
  const root = useSignal<NodeListing | undefined>(undefined);
  const listings: Listings = useSignal<ReadonlyMap<string, NodeListing>>(new Map());
  const problem = useSignal<string | undefined>(undefined);
  useEffect(() => follow(opened.value, { root, listings, problem }), [opened.value, root, listings, problem]);
  if (!isEditable.value) return <p class="note">{t('configuration.needsRole')}</p>;
  const sources = (data.value?.sources ?? []).filter(({ type }) => type === 'opcua');
  const { value: at } = opened;
  const browse = (source: string): void => {
    root.value = undefined;
    listings.value = new Map();
    opened.value = { source, node: undefined, name: '' };
  };
  const onOpen = (node: string, name: string): void => {
    if (at !== undefined) opened.value = { ...at, node, name };
  };
  const onClose = (node: string): void => {
    listings.value = new Map([...listings.value].filter(([each]) => each !== node));
    if (at !== undefined) opened.value = { ...at, node: undefined, name: '' };
  };
  const listing = at?.node === undefined ? undefined : listings.value.get(at.node);
  return (
    <>
      <SourceForm sources={sources} onBrowse={browse} />
      <p class="hint">{t('configuration.browseHint')}</p>
      <Problem text={problem} />
      {root.value !== undefined && (
        <div class="columns registers">
          <div id="nodes" class="scroll" tabIndex={0} role="group" aria-label={t('configuration.nodes')}>
            <NodeList listing={root.value} prefix="" tree={{ listings, chosen: at?.node, onOpen, onClose }} />
          </div>
          {at !== undefined && listing !== undefined && (
            <NodePanel key={at.node} source={at.source} name={at.name} listing={listing} />
          )}
        </div>
      )}
    </>
  );
}

/** Reads an opened node; a variable again and again until a read fails or the returned function is called. */
function follow(
  opened: Opened | undefined,
  {
    root,
    listings,
    problem,
  }: {
    readonly root: Signal<NodeListing | undefined>;
    readonly listings: Listings;
    readonly problem: Signal<string | undefined>;
  },
): (() => void) | undefined {
  // The root is read once: it is also opened when a node is closed.
  if (opened === undefined || (opened.node === undefined && root.value !== undefined)) return undefined;
  let isOver = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const { source, node } = opened;
  const read = async (): Promise<void> => {
    try {
      const path = `/api/v1/sources/${encodeURIComponent(source)}/nodes`;
      const listing = await sendJson<NodeListing>(path, node === undefined ? {} : { node });
      if (isOver) return;
      if (node === undefined) root.value = listing;
      else listings.value = new Map([...listings.value, [node, listing]]);
      problem.value = undefined;
      if (listing.node.is_variable) timer = setTimeout(() => void read(), REFRESH_MS);
    } catch (error) {
      if (!isOver) problem.value = messageOf(error);
    }
  };
  void read();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

function SourceForm({
  sources,
  onBrowse,
}: {
  readonly sources: readonly SourceState[];
  readonly onBrowse: (source: string) => void;
}): JSX.Element {
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    onBrowse(event.currentTarget.querySelector<HTMLSelectElement>('[name=source]')?.value ?? '');
  };
  return (
    <form class="watch-form" aria-label={t('configuration.nodes')} onSubmit={submit}>
      <label>
        {t('configuration.source')}
        <select name="source">
          {sources.map(({ source }) => (
            <option key={source}>{source}</option>
          ))}
        </select>
      </label>
      <button type="submit" disabled={sources.length === 0}>
        {t('configuration.browse')}
      </button>
    </form>
  );
}

function NodeList({
  listing: { children, is_complete },
  prefix,
  tree,
}: {
  readonly listing: NodeListing;
  readonly prefix: string;
  readonly tree: Tree;
}): JSX.Element {
  if (children.length === 0) return <p class="empty">{t('configuration.noNodes')}</p>;
  return (
    <>
      <ul class="nodes">
        {children.map((child) => (
          <NodeItem key={child.node} reading={child} prefix={prefix} tree={tree} />
        ))}
      </ul>
      {!is_complete && <p class="hint">{t('configuration.moreNodes', { count: children.length })}</p>}
    </>
  );
}

function NodeItem({
  reading: { name, node, type, value, unit, is_variable, has_children },
  prefix,
  tree,
}: {
  readonly reading: NodeReading;
  readonly prefix: string;
  readonly tree: Tree;
}): JSX.Element {
  const path = prefix === '' ? name : `${prefix}.${name}`;
  const listing = tree.listings.value.get(node);
  const shown = listing?.node ?? { value, unit };
  const isOpen = listing !== undefined;
  return (
    <li data-node={node}>
      <button
        type="button"
        aria-expanded={has_children ? isOpen : undefined}
        aria-pressed={node === tree.chosen}
        onClick={() => (isOpen && node === tree.chosen ? tree.onClose(node) : tree.onOpen(node, path))}
      >
        {name}
      </button>
      {is_variable && (
        <span class="hint">
          {' '}
          {type} <output>{shown.value}</output> {shown.unit}
        </span>
      )}
      {listing !== undefined && has_children && <NodeList listing={listing} prefix={path} tree={tree} />}
    </li>
  );
}

/** An opened variable: its value now, and each number in it with a button that makes it a tag. */
function NodePanel({
  source,
  name,
  listing: { node, values },
}: {
  readonly source: string;
  readonly name: string;
  readonly listing: NodeListing;
}): JSX.Element {
  const limits = node.range === null ? {} : { range: node.range };
  const unit = node.unit === null ? {} : { unit: node.unit };
  return (
    <section class="panel" aria-label={name}>
      <h2>
        <code>{name}</code>
      </h2>
      <p class="hint">
        <code>{node.node}</code>
      </p>
      {node.is_variable && (
        <>
          <p>
            {node.type} <output>{node.value}</output> {node.unit} {node.status}
          </p>
          {values.length === 0 && <p class="empty">{t('configuration.noNumbers')}</p>}
          <ValueTable
            source={source}
            values={values.map(({ path, value }) => ({
              path: path ?? '–',
              name: tagName(name, path),
              value,
              tag: { node: node.node, ...(path === null ? limits : { path }), ...unit },
            }))}
          />
        </>
      )}
    </section>
  );
}

/** Browse names may have characters that a name of a tag may not have. */
function tagName(name: string, path: string | null): string {
  const whole = path === null ? name : path.startsWith('[') ? `${name}${path}` : `${name}.${path}`;
  return whole.replaceAll(/[+#/]/g, '_');
}

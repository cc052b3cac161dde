import {
  autocompletion,
  type CompletionContext,
  type CompletionResult,
  completionKeymap,
} from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import { HighlightStyle, indentUnit, syntaxHighlighting } from '@codemirror/language';
import { EditorState, type Extension, RangeSet, StateEffect, StateField } from '@codemirror/state';
import {
  Decoration,
  drawSelection,
  EditorView,
  gutter,
  GutterMarker,
  highlightActiveLine,
  keymap,
  lineNumbers,
} from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { type ReadonlySignal, useSignalEffect } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { parseDocument } from 'yaml';
import type { ConfigurationProblem } from '../agent/api-types.ts';
import { proposals, type SchemaNode } from './schema-completion.ts';
import { yamlPlace } from './yaml-place.ts';

export type YamlEditorProps = {
  readonly label: string;
  /** A signal: an old text in a property would undo what was typed since. */
  readonly text: ReadonlySignal<string>;
  readonly isReadOnly: boolean;
  readonly problems: readonly ConfigurationProblem[];
  /** May arrive after the first keys; undefined if it cannot be read. */
  readonly schema: Promise<SchemaNode | undefined>;
  /** Line to show, from 1; a new object shows it again. */
  readonly shown: { readonly line: number } | undefined;
  readonly onChange: (text: string) => void;
};

/** An editor for YAML. Its styles are in a shadow root, where the library uses no style element, which the policy forbids. */
export function YamlEditor(props: YamlEditorProps): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const latest = useRef(props);
  latest.current = props;
  useEffect(() => {
    if (host.current === null) return undefined;
    const root = host.current.shadowRoot ?? host.current.attachShadow({ mode: 'open' });
    const editor = new EditorView({ parent: root, root, state: stateOf(latest) });
    view.current = editor;
    return () => editor.destroy();
    // The library cannot replace what is read-only or the label; both are fixed while the page is open.
  }, [props.isReadOnly, props.label]);
  useSignalEffect(() => {
    const next = props.text.value;
    const editor = view.current;
    if (editor === undefined || editor.state.doc.toString() === next) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: next } });
  });
  useEffect(() => {
    view.current?.dispatch({ effects: setProblems.of(props.problems) });
  }, [props.problems]);
  useEffect(() => {
    const editor = view.current;
    if (editor === undefined || props.shown === undefined) return;
    const { from } = editor.state.doc.line(Math.min(Math.max(props.shown.line, 1), editor.state.doc.lines));
    editor.dispatch({ selection: { anchor: from }, effects: EditorView.scrollIntoView(from, { y: 'center' }) });
    editor.focus();
  }, [props.shown]);
  return <div class="yaml-editor" ref={host} />;
}

function stateOf(latest: { readonly current: YamlEditorProps }): EditorState {
  const { text, label, isReadOnly, problems } = latest.current;
  return EditorState.create({
    doc: text.peek(),
    extensions: [
      lineNumbers(),
      history(),
      drawSelection(),
      highlightActiveLine(),
      indentUnit.of('  '),
      yaml(),
      syntaxHighlighting(colors),
      theme,
      problemLines.init((state) => linesOf(state, problems)),
      problemGutter,
      // Tab stays with the page: the keyboard must get out of the editor.
      keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap]),
      autocompletion({ override: [(context) => complete(context, latest.current.schema)], icons: false }),
      EditorState.readOnly.of(isReadOnly),
      EditorView.contentAttributes.of({
        'aria-label': label,
        tabindex: '0',
        ...(isReadOnly ? { 'aria-readonly': 'true' } : {}),
      }),
      EditorView.updateListener.of(({ docChanged, state }) => {
        if (!docChanged) return;
        const next = state.doc.toString();
        if (next !== latest.current.text.peek()) latest.current.onChange(next);
      }),
    ] satisfies Extension,
  });
}

const setProblems = StateEffect.define<readonly ConfigurationProblem[]>();

type ProblemLines = { readonly lines: ReturnType<typeof Decoration.set>; readonly marks: RangeSet<GutterMarker> };

const problemLines = StateField.define<ProblemLines>({
  create: (state) => linesOf(state, []),
  update: (value, transaction) => {
    for (const effect of transaction.effects)
      if (effect.is(setProblems)) return linesOf(transaction.state, effect.value);
    const { changes } = transaction;
    return transaction.docChanged ? { lines: value.lines.map(changes), marks: value.marks.map(changes) } : value;
  },
  provide: (field) => EditorView.decorations.from(field, ({ lines }) => lines),
});

const problemGutter = gutter({ class: 'cm-problems', markers: (view) => view.state.field(problemLines).marks });

class ProblemMark extends GutterMarker {
  readonly #severity: string;

  constructor(severity: string) {
    super();
    this.#severity = severity;
  }

  override toDOM(): Node {
    const mark = document.createElement('span');
    mark.className = `cm-problem-mark ${this.#severity}`;
    mark.textContent = this.#severity === 'warning' ? '△' : '▲';
    return mark;
  }
}

function linesOf(state: EditorState, problems: readonly ConfigurationProblem[]): ProblemLines {
  const worst = new Map<number, string>();
  for (const { line, severity } of problems.toSorted(
    (a, b) => Number(a.severity !== 'warning') - Number(b.severity !== 'warning'),
  ))
    if (line >= 1 && line <= state.doc.lines) worst.set(line, severity);
  const found = [...worst]
    .toSorted(([a], [b]) => a - b)
    .map(([line, severity]) => ({ from: state.doc.line(line).from, severity }));
  return {
    lines: Decoration.set(
      found.map(({ from, severity }) => Decoration.line({ class: `cm-problem ${severity}` }).range(from)),
    ),
    marks: RangeSet.of(found.map(({ from, severity }) => new ProblemMark(severity).range(from))),
  };
}

async function complete(
  context: CompletionContext,
  schemaAnswer: Promise<SchemaNode | undefined>,
): Promise<CompletionResult | null> {
  const schema = await schemaAnswer;
  if (schema === undefined) return null;
  const text = context.state.doc.toString();
  const place = yamlPlace(text, context.pos);
  // Without a letter, only on request: a list at each new line would be in the way.
  if (!context.explicit && place.from === context.pos) return null;
  const file = parseDocument(text);
  const found = proposals(schema, place, (path) => {
    const type = file.getIn([...path, 'type']);
    return typeof type === 'string' ? type : undefined;
  });
  if (found.length === 0) return null;
  return {
    from: place.from,
    options: found.map(({ label, detail, info, isKey }) => ({
      label,
      detail,
      info,
      apply: isKey ? `${label}: ` : label,
    })),
    validFor: /^[\w.-]*$/,
  };
}

const colors = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--link)' },
  { tag: [tags.comment, tags.lineComment], color: 'var(--faint)', fontStyle: 'italic' },
  { tag: [tags.string, tags.content], color: 'var(--ink)' },
  { tag: [tags.punctuation, tags.separator, tags.brace, tags.squareBracket], color: 'var(--faint)' },
]);

const theme = EditorView.theme({
  '&': { background: 'var(--card)', color: 'var(--ink)', height: '100%', fontSize: '13px' },
  '&.cm-focused': { outline: '2px solid var(--link)' },
  '.cm-scroller': { fontFamily: 'ui-monospace, monospace', lineHeight: '1.5' },
  '.cm-content': { caretColor: 'var(--ink)' },
  '.cm-cursor': { borderLeftColor: 'var(--ink)' },
  '.cm-gutters': { background: 'var(--panel)', color: 'var(--faint)', borderRight: '1px solid var(--line)' },
  '.cm-activeLine': { background: 'var(--panel)' },
  '.cm-selectionBackground, &.cm-focused .cm-selectionBackground': { background: 'var(--line) !important' },
  '.cm-problems': { width: '16px' },
  '.cm-problem-mark': { color: 'var(--critical)' },
  '.cm-problem-mark.warning': { color: 'var(--medium)' },
  '.cm-problem': { boxShadow: 'inset 3px 0 var(--critical)' },
  '.cm-problem.warning': { boxShadow: 'inset 3px 0 var(--medium)' },
  '.cm-tooltip': { background: 'var(--panel)', color: 'var(--ink)', border: '1px solid var(--strong)' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { background: 'var(--ink)', color: 'var(--paper)' },
  '.cm-completionDetail': { color: 'inherit', opacity: '0.8' },
  '.cm-completionInfo': { maxWidth: '360px', padding: '8px' },
});

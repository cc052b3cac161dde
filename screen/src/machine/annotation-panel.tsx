import { type Signal, useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { nowMs } from '../agent/agent-state.ts';
import type { Annotation } from '../agent/api-types.ts';
import { mayOperate } from '../agent/session.ts';
import { addAnnotation, readAnnotations, removeAnnotation } from '../parts/annotations.ts';
import { localTimeText } from '../parts/local-time.ts';
import { rangeOfQuery } from '../parts/time-range.tsx';
import { formatMoment } from '../texts/format.ts';
import { t } from '../texts/language.ts';
import { messageOf } from '../agent/message-of.ts';

const labels = ['note', 'fault', 'normal'] as const;

type AnnotationPanelProps = {
  readonly watch: string;
  /** The annotations of the shown range; replaced when one is added or removed. */
  readonly annotations: Signal<readonly Annotation[] | undefined>;
};

/** Notes on the machine, and periods that are labelled as fault or normal. */
export function AnnotationPanel({ watch, annotations }: AnnotationPanelProps): JSX.Element {
  const problem = useSignal<string | undefined>(undefined);
  const act = async (change: () => Promise<unknown>): Promise<boolean> => {
    try {
      await change();
      const { fromMs, toMs } = rangeOfQuery('1h');
      annotations.value = await readAnnotations(watch, fromMs, toMs);
      problem.value = undefined;
      return true;
    } catch (error) {
      problem.value = messageOf(error);
      return false;
    }
  };
  return (
    <section class="panel" aria-labelledby="annotations-title">
      <h2 id="annotations-title">{t('annotations.title')}</h2>
      {mayOperate.value && <AnnotationForm watch={watch} act={act} />}
      <p role="status" class="problem">
        {problem}
      </p>
      <ul id="annotations">
        {(annotations.value ?? []).map((each) => (
          <li key={each.id} data-label={each.label}>
            <b>{t(`annotations.${each.label}`)}</b> {periodText(each)} <q>{each.text}</q>{' '}
            <small>
              {each.actor}, {formatMoment(each.at_ms, nowMs.value)}
            </small>
            {mayOperate.value && (
              <button type="button" onClick={() => void act(() => removeAnnotation(each.id))}>
                {t('trends.remove')}
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

function periodText({ from_ms, to_ms }: Annotation): string {
  const from = formatMoment(from_ms, nowMs.value);
  return from_ms === to_ms ? from : `${from} – ${formatMoment(to_ms, nowMs.value)}`;
}

type AnnotationFormProps = {
  readonly watch: string;
  readonly act: (change: () => Promise<unknown>) => Promise<boolean>;
};

/** A note is of one moment; a label has a period, at first the shown one. */
function AnnotationForm({ watch, act }: AnnotationFormProps): JSX.Element {
  const label = useSignal<Annotation['label']>('note');
  const text = useSignal('');
  const from = useSignal(localTimeText(nowMs.peek()));
  const to = useSignal(localTimeText(nowMs.peek()));
  const isPeriod = label.value !== 'note';
  const fromMs = Date.parse(from.value);
  const toMs = isPeriod ? Date.parse(to.value) : fromMs;
  const choose = (name: string): void => {
    label.value = labels.find((each) => each === name) ?? 'note';
    const range = rangeOfQuery('1h');
    from.value = localTimeText(label.value === 'note' ? nowMs.peek() : range.fromMs);
    to.value = localTimeText(range.toMs);
  };
  const add = async (): Promise<void> => {
    const draft = { watch, label: label.value, text: text.value.trim(), from_ms: fromMs, to_ms: toMs };
    if (await act(() => addAnnotation(draft))) text.value = '';
  };
  const isWrong = !(fromMs <= toMs) || (!isPeriod && text.value.trim() === '');
  return (
    <form
      class="tools"
      onSubmit={(event) => {
        event.preventDefault();
        void add();
      }}
    >
      <select value={label} aria-label={t('annotations.label')} onChange={(event) => choose(event.currentTarget.value)}>
        {labels.map((each) => (
          <option key={each} value={each}>
            {t(`annotations.${each}`)}
          </option>
        ))}
      </select>
      <TimeField name={t('annotations.from')} value={from} />
      {isPeriod && <TimeField name={t('annotations.to')} value={to} />}
      <input
        type="text"
        maxLength={500}
        value={text}
        placeholder={t('annotations.text')}
        aria-label={t('annotations.text')}
        onInput={(event) => (text.value = event.currentTarget.value)}
      />
      <button type="submit" class="main" disabled={isWrong}>
        {t('annotations.add')}
      </button>
    </form>
  );
}

function TimeField({ name, value }: { readonly name: string; readonly value: Signal<string> }): JSX.Element {
  return (
    <input
      type="datetime-local"
      step="1"
      value={value}
      aria-label={name}
      onInput={(event) => (value.value = event.currentTarget.value)}
    />
  );
}

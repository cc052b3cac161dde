import { useSignal } from '@preact/signals';
import type { JSX, TargetedSubmitEvent } from 'preact';
import { useRef } from 'preact/hooks';
import { readJson } from '../agent/agent-api.ts';
import type { TagSeries, TryOutResult, VersionDetail, Watch, WatchHistory } from '../agent/api-types.ts';
import { formText } from '../parts/form-text.ts';
import { useAnswer } from '../parts/use-answer.ts';
import { formatMs, formatNumber } from '../texts/format.ts';
import { t, word } from '../texts/language.ts';
import { sendAct } from './model-acts.ts';
import { readVersion } from './model-directory.ts';
import { columnTexts, exampleInputs, inputsOfColumns, type TryOutInputs, windowTexts } from './try-out-inputs.ts';
import { watchesOf } from './watches-of.ts';
import { Problem } from '../parts/problem.tsx';
import { messageOf } from '../agent/message-of.ts';

/** Name of the field that has all inputs as JSON. */
const JSON_FIELD = 'inputs';

/** A form for one run of a version: a field for each tag of a window, or the inputs of another graph as JSON. */
export function TryOut({ model, version }: { readonly model: string; readonly version: number }): JSX.Element {
  const { data, problem } = useAnswer(`${model}@${version}`, () => readVersion(model, version));
  return (
    <section class="panel" aria-labelledby="try-title">
      <h2 id="try-title">
        {t('models.try.title')}: {model}@{version}
      </h2>
      <p>{t('models.try.note')}</p>
      <Problem text={problem} />
      {data.value !== undefined && <Form detail={data.value} />}
    </section>
  );
}

function Form({ detail }: { readonly detail: VersionDetail }): JSX.Element {
  const form = useRef<HTMLFormElement>(null);
  const problem = useSignal<string | undefined>(undefined);
  const isRunning = useSignal(false);
  const result = useSignal<TryOutResult | undefined>(undefined);
  const submit = async (event: TargetedSubmitEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    problem.value = undefined;
    result.value = undefined;
    isRunning.value = true;
    try {
      const inputs = inputsOf(detail, new FormData(event.currentTarget));
      const answer = await sendAct(detail.model, 'infer', { version: detail.version, inputs });
      result.value = (await answer.json()) as TryOutResult;
    } catch (error) {
      problem.value = messageOf(error);
    } finally {
      isRunning.value = false;
    }
  };
  return (
    <>
      <form ref={form} class="try-out" onSubmit={(event) => void submit(event)}>
        {detail.window === null ? <JsonField detail={detail} /> : <TagFields detail={detail} form={form} />}
        <div class="buttons">
          <button type="submit" class="main" disabled={isRunning.value}>
            {isRunning.value ? t('models.try.running') : t('models.try.submit')}
          </button>
        </div>
      </form>
      <div id="try-result" role="status">
        <Problem text={problem} />
        {result.value !== undefined && <Result result={result.value} />}
      </div>
    </>
  );
}

function inputsOf(detail: VersionDetail, form: FormData): TryOutInputs {
  if (detail.window === null) return JSON.parse(formText(form, JSON_FIELD)) as TryOutInputs;
  const texts = detail.tags.map((_tag, column) => formText(form, fieldOf(column)));
  return inputsOfColumns(detail, texts);
}

function fieldOf(column: number): string {
  return `tag-${column}`;
}

type TagFieldsProps = {
  readonly detail: VersionDetail;
  readonly form: { readonly current: HTMLFormElement | null };
};

function TagFields({ detail, form }: TagFieldsProps): JSX.Element {
  const { tags, window, example } = detail;
  const fill = (texts: readonly string[]): void => {
    for (const [column, text] of texts.entries()) {
      const field = form.current?.elements.namedItem(fieldOf(column));
      if (field instanceof HTMLInputElement) field.value = text;
    }
  };
  const problem = useSignal<string | undefined>(undefined);
  const [watch] = watchesOf(detail.model);
  const fillLast = async (from: Watch): Promise<void> => {
    try {
      fill(await lastWindow(from, window?.steps ?? 1));
      problem.value = undefined;
    } catch (error) {
      problem.value = messageOf(error);
    }
  };
  return (
    <>
      <p>{t('models.try.window', { steps: window?.steps ?? 1 })}</p>
      <div class="fields">
        {tags.map(({ name, unit }, column) => (
          <label key={name}>
            <span>
              {name} <small>{unit}</small>
            </span>
            <input name={fieldOf(column)} required inputMode="decimal" autocomplete="off" />
          </label>
        ))}
      </div>
      <Problem text={problem} />
      <div class="buttons">
        {watch !== undefined && (
          <button type="button" onClick={() => void fillLast(watch)}>
            {t('models.try.present', { watch: watch.watch })}
          </button>
        )}
        {example !== null && (
          <button type="button" onClick={() => fill(columnTexts(detail))}>
            {t('models.try.example')}
          </button>
        )}
      </div>
    </>
  );
}

/** Slack before the window, for a first sample of each tag that changes rarely. */
const LEAD_MS = 60_000;
/** Spacing of the rows of a window that depends on the scans. */
const SCAN_MS = 1000;

/** Returns the text for each tag of the last window of a watch, from the history. */
async function lastWindow({ watch, tags, step_ms: step }: Watch, steps: number): Promise<readonly string[]> {
  const stepMs = step === 'scan' ? SCAN_MS : step;
  const toMs = Date.now();
  const range = `from=${toMs - steps * stepMs - LEAD_MS}&to=${toMs}&limit=1`;
  const history = await readJson<WatchHistory>(`/api/v1/watches/${encodeURIComponent(watch)}/history?${range}`);
  const series = new Map(history.tags.map((each) => [each.tag, each]));
  const none: TagSeries = { tag: '', timestamps_ms: [], values: [] };
  return windowTexts(
    tags.map(({ tag }) => (series.get(tag) ?? none) as TagSeries),
    steps,
    stepMs,
  );
}

function JsonField({ detail }: { readonly detail: VersionDetail }): JSX.Element {
  return (
    <label class="wide">
      {t('models.try.inputs', { example: '{"input": {"dims": [1, 2], "data": [0.5, 1]}}' })}
      <textarea name={JSON_FIELD} rows={8} required spellcheck={false}>
        {exampleInputs(detail)}
      </textarea>
    </label>
  );
}

function Result({ result }: { readonly result: TryOutResult }): JSX.Element {
  const { judgement, outputs, provider, run_ms } = result;
  return (
    <>
      {judgement !== null && (
        <p class="judgement" data-verdict={judgement.verdict}>
          {t('models.try.result', {
            score: formatNumber(judgement.score),
            threshold: formatNumber(judgement.threshold),
            verdict: word('watch', judgement.verdict),
          })}
        </p>
      )}
      <p>{t('models.try.time', { time: formatMs(run_ms), provider })}</p>
      <div class="scroll">
        <table id="outputs">
          <thead>
            <tr>
              <th scope="col">{t('models.try.output')}</th>
              <th scope="col">{t('models.try.type')}</th>
              <th scope="col">{t('models.value')}</th>
            </tr>
          </thead>
          <tbody>
            {Object.entries(outputs).map(([name, { type, dims, data }]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>
                  {type} [{dims.join(', ')}]
                </td>
                <td class="reason">
                  {data.map((value) => (typeof value === 'number' ? formatNumber(value) : String(value))).join(' ')}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

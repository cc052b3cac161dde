import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { readJson, sendJson } from '../agent/agent-api.ts';
import { nowMs } from '../agent/agent-state.ts';
import type { Training } from '../agent/api-types.ts';
import { mayManageModels } from '../agent/session.ts';
import { follow, modelPath } from '../parts/router.ts';
import { useAnswer } from '../parts/use-answer.ts';
import { formatMoment, formatNumber } from '../texts/format.ts';
import { t } from '../texts/language.ts';
import { changes } from './model-acts.ts';
import { Problem } from '../parts/problem.tsx';
import { messageOf } from '../agent/message-of.ts';

const REFRESH_MS = 1000;
/** Trainings that are shown. */
const SHOWN_MAX = 3;

/** The latest trainings, with the progress of the one that runs. */
export function TrainingList(): JSX.Element | null {
  const { data } = useAnswer(
    String(changes.value),
    () => readJson<{ trainings: Training[] }>('/api/v1/models/trainings'),
    REFRESH_MS,
  );
  const trainings = data.value?.trainings.slice(0, SHOWN_MAX) ?? [];
  if (trainings.length === 0) return null;
  return (
    <section class="panel" aria-labelledby="trainings-title">
      <h2 id="trainings-title">{t('models.trainings')}</h2>
      <ul id="trainings">
        {trainings.map((training) => (
          <TrainingItem key={training.id} training={training} />
        ))}
      </ul>
    </section>
  );
}

function TrainingItem({ training }: { readonly training: Training }): JSX.Element {
  const problem = useSignal<string | undefined>(undefined);
  const { id, model, watch, by, started_ms, state } = training;
  const isPresent = state === 'waiting' || state === 'running';
  const cancel = async (): Promise<void> => {
    try {
      await sendJson(`/api/v1/models/trainings/${id}/cancel`, {});
      changes.value += 1;
    } catch (error) {
      problem.value = messageOf(error);
    }
  };
  return (
    <li data-state={state}>
      <a href={modelPath(model)} onClick={follow}>
        {model}
      </a>{' '}
      <small>{t('models.training.by', { watch, by, time: formatMoment(started_ms, nowMs.value) })}</small>
      <p role="status" class={state === 'failed' ? 'problem reason' : ''}>
        {isPresent && <progress value={shareOf(training)} />} {stateText(training)}
      </p>
      {training.comparison !== null && (
        <p class="reason" data-recommendation={training.comparison.recommendation}>
          {training.comparison.reason}
        </p>
      )}
      {training.warnings.map((warning) => (
        <p key={warning} class="reason">
          {warning}
        </p>
      ))}
      {isPresent && mayManageModels.value && (
        <button type="button" onClick={() => void cancel()}>
          {t('models.cancel')}
        </button>
      )}
      <Problem text={problem} />
    </li>
  );
}

/** Returns the share that is done, if the stage has one. */
function shareOf({ stage, done }: Training): number | undefined {
  return (stage === 'fitting' || stage === 'trying out') && done !== null ? done : undefined;
}

function stateText({ state, stage, done, version, reason }: Training): string {
  switch (state) {
    case 'trained':
      return t('models.training.trained', { version: version ?? '' });
    case 'failed':
      return t('models.training.failed', { reason: reason ?? '' });
    case 'waiting':
    case 'cancelled':
      return t(`models.training.${state}`);
    case 'running':
      if (stage === null) return t('models.training.running');
      return stage === 'reading'
        ? t('models.training.reading', { rows: formatNumber(done ?? 0) })
        : t(`models.training.${stage}`);
  }
}

import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { isLive } from '../agent/agent-state.ts';
import type { ListedModel } from '../agent/api-types.ts';
import { mayManageModels } from '../agent/session.ts';
import { t } from '../texts/language.ts';
import { ConfirmDialog } from './confirm-dialog.tsx';
import { carryOut, done, problem, removeVersion, sendAct, working } from './model-acts.ts';
import { watchesOf } from './watches-of.ts';
import { Problem } from '../parts/problem.tsx';

type Act = { readonly kind: 'activate' | 'rollback' | 'pin' | 'remove'; readonly version: number };

/** Acts on a model and on one of its versions, each with its consequences; none for a role that may not. */
export function VersionActs({
  model,
  version,
}: {
  readonly model: ListedModel;
  readonly version: number;
}): JSX.Element {
  const asked = useSignal<Act | undefined>(undefined);
  const ask = (kind: Act['kind'], of: number) => () => (asked.value = { kind, version: of });
  const { name, active, previous, pinned } = model;
  const isIdle = isLive.value && working.value === undefined;
  return (
    <>
      {mayManageModels.value && (
        <div class="actions" role="toolbar" aria-label={t('models.actions')}>
          {version !== active && (
            <>
              <button type="button" class="main" disabled={!isIdle || pinned} onClick={ask('activate', version)}>
                {t('models.activate')} {version}
              </button>
              <button type="button" disabled={!isIdle} onClick={ask('remove', version)}>
                {t('models.remove')} {version}
              </button>
            </>
          )}
          {previous !== null && previous !== active && (
            <button type="button" disabled={!isIdle || pinned} onClick={ask('rollback', previous)}>
              {t('models.rollback', { version: previous })}
            </button>
          )}
          {active !== null && !pinned && (
            <button type="button" disabled={!isIdle} onClick={ask('pin', active)}>
              {t('models.pin', { version: active })}
            </button>
          )}
          {pinned && (
            <button type="button" disabled={!isIdle} onClick={() => void unpin(name)}>
              {t('models.unpin')}
            </button>
          )}
        </div>
      )}
      <Results />
      {asked.value !== undefined && (
        <Question
          model={model}
          act={asked.value}
          onClose={(confirmed) => {
            const act = asked.value;
            asked.value = undefined;
            if (confirmed && act !== undefined) void start(model, act);
          }}
        />
      )}
    </>
  );
}

/** The act in progress, and the result of the last one. */
export function Results(): JSX.Element {
  return (
    <div class="results" role="status">
      {working.value !== undefined && (
        <p>
          <progress /> {working}
        </p>
      )}
      {done.value !== undefined && <p>{done}</p>}
      <Problem text={problem} />
    </div>
  );
}

type QuestionProps = {
  readonly model: ListedModel;
  readonly act: Act;
  readonly onClose: (confirmed: boolean) => void;
};

function Question({ model, act: { kind, version }, onClose }: QuestionProps): JSX.Element {
  const { name, rejected } = model;
  const rejection = kind === 'activate' ? rejected.find((each) => each.version === version) : undefined;
  const action = {
    activate: t('models.activate'),
    rollback: t('models.rollback', { version }),
    pin: t('models.pin', { version }),
    remove: t('models.remove'),
  }[kind];
  return (
    <ConfirmDialog
      title={t(`models.confirm.${kind}`, { model: name, version })}
      action={action}
      onConfirm={() => onClose(true)}
      onCancel={() => onClose(false)}
    >
      <p>{consequence(model, { kind, version })}</p>
      {kind === 'remove' && model.previous === version && <p class="problem">{t('models.confirm.remove.previous')}</p>}
      {rejection !== undefined && <p class="problem">{t('models.confirm.rejected', { reason: rejection.reason })}</p>}
    </ConfirmDialog>
  );
}

function consequence({ name, active }: ListedModel, { kind, version }: Act): string {
  const watches =
    watchesOf(name)
      .map(({ watch }) => watch)
      .join(', ') || '–';
  switch (kind) {
    case 'activate':
      return active === null
        ? t('models.confirm.activate.first', { watches })
        : t('models.confirm.activate.text', { active, watches });
    case 'rollback':
      return t('models.confirm.rollback.text', { version, active: active ?? '–', watches });
    case 'pin':
      return t('models.confirm.pin.text');
    case 'remove':
      return t('models.confirm.remove.text');
  }
}

async function start({ name, previous }: ListedModel, { kind, version }: Act): Promise<void> {
  switch (kind) {
    case 'activate':
      await carryOut(t('models.working', { version }), async () => {
        await sendAct(name, 'activate', { version });
        return t('models.activated', { version });
      });
      return;
    case 'rollback':
      await carryOut(t('models.working', { version }), async () => {
        await sendAct(name, 'rollback');
        return t('models.activated', { version });
      });
      return;
    case 'pin':
      await carryOut('…', async () => {
        await sendAct(name, 'pin', { version });
        return t('models.pinnedNow', { version });
      });
      return;
    case 'remove':
      await carryOut('…', async () => {
        await removeVersion(name, version, version === previous);
        return t('models.removed', { version });
      });
  }
}

async function unpin(model: string): Promise<void> {
  await carryOut('…', async () => {
    await sendAct(model, 'unpin');
    return t('models.unpinned');
  });
}

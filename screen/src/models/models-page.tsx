import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { isLive, watches } from '../agent/agent-state.ts';
import { mayManageModels } from '../agent/session.ts';
import type { ListedModel } from '../agent/api-types.ts';
import { readJson } from '../agent/agent-api.ts';
import { follow, modelPath, route } from '../parts/router.ts';
import { useAnswer } from '../parts/use-answer.ts';
import { t } from '../texts/language.ts';
import { InstallDialog } from './install-dialog.tsx';
import { changes } from './model-acts.ts';
import { type LoadedModels, readModels } from './model-directory.ts';
import { TrainDialog } from './train-dialog.tsx';
import { TrainingList } from './training-list.tsx';
import { Results } from './version-acts.tsx';
import { watchesOf } from './watches-of.ts';
import { ModelView } from './model-view.tsx';
import { Problem } from '../parts/problem.tsx';

const REFRESH_MS = 3000;
const PAGE = 100;

/** The models of the model directory, and one of them with its versions. */
export function ModelsPage(): JSX.Element {
  const count = useSignal(PAGE);
  const { data, problem } = useAnswer(`${count.value} ${changes.value}`, () => readModels(count.value), REFRESH_MS);
  const loaded = useAnswer(String(changes.value), () => readJson<LoadedModels>('/api/v1/models'), REFRESH_MS);
  const list = data.value;
  const { value: path } = route;
  const chosen = path.page === 'models' ? path.model : undefined;
  return (
    <>
      <Problem text={problem} />
      <DirectoryActs model={chosen} />
      <TrainingList />
      <div class="models">
        <nav class="model-list panel" aria-labelledby="model-list-title">
          <h2 id="model-list-title">{t('models.list')}</h2>
          {list?.models.length === 0 && <p class="empty">{t('models.none')}</p>}
          <ul>
            {list?.models.map((model) => (
              <li key={model.name}>
                <ModelLink model={model} isChosen={model.name === chosen} loaded={loaded.data.value} />
              </li>
            ))}
          </ul>
          {list?.more === true && (
            <button type="button" onClick={() => (count.value += PAGE)}>
              {t('models.more')}
            </button>
          )}
        </nav>
        <ChosenModel
          key={chosen}
          name={chosen}
          model={list?.models.find(({ name }) => name === chosen)}
          isRead={list !== undefined}
          loaded={loaded.data.value}
        />
      </div>
    </>
  );
}

/** Acts that bring new versions: installation and training; none for a role that may not. */
function DirectoryActs({ model }: { readonly model: string | undefined }): JSX.Element | null {
  const shown = useSignal<'install' | 'train' | undefined>(undefined);
  if (!mayManageModels.value) return null;
  const close = (): void => {
    shown.value = undefined;
  };
  return (
    <div class="actions">
      <button type="button" disabled={!isLive.value} onClick={() => (shown.value = 'install')}>
        {t('models.install')}
      </button>
      {watches.value.size > 0 && (
        <button type="button" disabled={!isLive.value} onClick={() => (shown.value = 'train')}>
          {t('models.train')}
        </button>
      )}
      {model === undefined && <Results />}
      {shown.value === 'install' && <InstallDialog onClose={close} />}
      {shown.value === 'train' && <TrainDialog watch={watchesOf(model)[0]?.watch ?? ''} onClose={close} />}
    </div>
  );
}

type ModelLinkProps = {
  readonly model: ListedModel;
  readonly isChosen: boolean;
  readonly loaded: LoadedModels | undefined;
};

function ModelLink({ model, isChosen, loaded }: ModelLinkProps): JSX.Element {
  const { name, active, pinned } = model;
  const isFaulty = loaded?.models.some(
    (each) => each.name === name && (each.state === 'failed' || each.state === 'quarantined'),
  );
  const users = [...watches.value.values()].filter(({ value }) => value.model.split('@')[0] === name).length;
  return (
    <a href={modelPath(name)} onClick={follow} aria-current={isChosen ? 'page' : undefined}>
      <strong>{name}</strong>
      <span>
        {active === null ? t('models.noVersion') : `${t('models.version')} ${active}`}
        {pinned && `, ${t('models.mark.pinned')}`}
      </span>
      <small>
        {t('models.watches')}: {users}
        {isFaulty === true && <b class="problem"> {t('models.state.failed')}</b>}
      </small>
    </a>
  );
}

type ChosenModelProps = {
  readonly name: string | undefined;
  readonly model: ListedModel | undefined;
  readonly isRead: boolean;
  readonly loaded: LoadedModels | undefined;
};

function ChosenModel({ name, model, isRead, loaded }: ChosenModelProps): JSX.Element {
  if (model === undefined)
    return (
      <div class="model">
        <h1>{name ?? t('models.list')}</h1>
        <p class="empty">{missingText(name, isRead)}</p>
      </div>
    );
  return <ModelView model={model} loaded={loaded} />;
}

function missingText(name: string | undefined, isRead: boolean): string {
  if (!isRead) return t('page.loading');
  return name === undefined ? t('models.choose') : t('models.unknown', { model: name });
}

import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { watches } from '../agent/agent-state.ts';
import type { ListedModel, Watch } from '../agent/api-types.ts';
import { follow, machinePath } from '../parts/router.ts';
import { useAnswer } from '../parts/use-answer.ts';
import { t } from '../texts/language.ts';
import { DriftTable } from './drift-table.tsx';
import { InUse } from './in-use.tsx';
import { type LoadedModels, readVersion, readVersions } from './model-directory.ts';
import { VersionFacts } from './version-facts.tsx';
import { VersionTable } from './version-table.tsx';

const REFRESH_MS = 3000;
const PAGE = 50;

export type ModelViewProps = { readonly model: ListedModel; readonly loaded: LoadedModels | undefined };

/** One model: where its versions run, its versions, and one of them in detail. */
export function ModelView({ model, loaded }: ModelViewProps): JSX.Element {
  const chosen = useSignal<number | undefined>(undefined);
  const shown = chosen.value ?? model.active ?? model.versions.at(-1);
  return (
    <div class="model">
      <Head model={model} />
      {model.problem !== null && <p class="problem">{model.problem}</p>}
      <InUse model={model.name} loaded={loaded} />
      <Versions model={model} shown={shown} onChoose={(version) => (chosen.value = version)} />
      {shown !== undefined && model.versions.includes(shown) && <Version key={shown} model={model} version={shown} />}
      <DriftTable watches={watchesOf(model.name)} />
    </div>
  );
}

function Head({ model }: { readonly model: ListedModel }): JSX.Element {
  const users = watchesOf(model.name);
  return (
    <div class="tools">
      <h1>{model.name}</h1>
      <span>{model.active === null ? t('models.noVersion') : `${t('models.version')} ${model.active}`}</span>
      <span>
        {users.length === 0 ? t('models.noWatches') : `${t('models.watches')}: `}
        {users.map(({ watch }, index) => (
          <>
            {index > 0 && ', '}
            <a key={watch} href={machinePath(watch)} onClick={follow}>
              {watch}
            </a>
          </>
        ))}
      </span>
    </div>
  );
}

type VersionsProps = {
  readonly model: ListedModel;
  readonly shown: number | undefined;
  readonly onChoose: (version: number) => void;
};

function Versions({ model, shown, onChoose }: VersionsProps): JSX.Element {
  const count = useSignal(PAGE);
  const key = JSON.stringify([model.name, model.versions, count.value]);
  const { data, problem } = useAnswer(key, () => readVersions(model.name, count.value), REFRESH_MS);
  return (
    <section class="panel" aria-labelledby="versions-title">
      <h2 id="versions-title">{t('models.section.versions')}</h2>
      {problem.value !== '' && <p class="problem">{problem}</p>}
      <VersionTable model={model} versions={data.value?.versions ?? []} shown={shown} onChoose={onChoose} />
      {data.value?.more === true && (
        <button type="button" onClick={() => (count.value += PAGE)}>
          {t('models.more')}
        </button>
      )}
    </section>
  );
}

function Version({ model, version }: { readonly model: ListedModel; readonly version: number }): JSX.Element {
  const { data, problem } = useAnswer(`${model.name}@${version}`, () => readVersion(model.name, version));
  return (
    <section class="panel" aria-labelledby="version-title">
      <h2 id="version-title">
        {model.name}@{version}
      </h2>
      {problem.value !== '' && <p class="problem">{problem}</p>}
      {data.value !== undefined && <VersionFacts detail={data.value} />}
    </section>
  );
}

/** Returns the watches that use a model, in any version. */
function watchesOf(model: string): readonly Watch[] {
  return [...watches.value.values()].map(({ value }) => value).filter((watch) => watch.model.split('@')[0] === model);
}

import { useSignal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { ListedModel } from '../agent/api-types.ts';
import { mayManageModels } from '../agent/session.ts';
import { follow, machinePath, query, setQuery } from '../parts/router.ts';
import { useAnswer } from '../parts/use-answer.ts';
import { t } from '../texts/language.ts';
import { ActLog } from './act-table.tsx';
import { Comparison } from './comparison.tsx';
import { DriftTable } from './drift-table.tsx';
import { InUse } from './in-use.tsx';
import { changes, forgetResults } from './model-acts.ts';
import { type LoadedModels, readVersion, readVersions } from './model-directory.ts';
import { TryOut } from './try-out.tsx';
import { VersionActs } from './version-acts.tsx';
import { VersionFacts } from './version-facts.tsx';
import { VersionTable } from './version-table.tsx';
import { watchesOf } from './watches-of.ts';
import { Problem } from '../parts/problem.tsx';

const REFRESH_MS = 3000;
const PAGE = 50;

export type ModelViewProps = { readonly model: ListedModel; readonly loaded: LoadedModels | undefined };

const sections = ['versions', 'comparison', 'try', 'log'] as const;
type Section = (typeof sections)[number];

/** One model: where its versions run, its versions, and one of them in detail. */
export function ModelView({ model, loaded }: ModelViewProps): JSX.Element {
  const chosen = useSignal<number | undefined>(undefined);
  useEffect(forgetResults, []);
  const isInstalled = chosen.value !== undefined && model.versions.includes(chosen.value);
  const shown = (isInstalled ? chosen.value : undefined) ?? model.active ?? model.versions.at(-1);
  const section = sections.find((each) => each === query.value.get('view')) ?? 'versions';
  return (
    <div class="model">
      <Head model={model} />
      <Tabs section={section} />
      {model.problem !== null && <p class="problem">{model.problem}</p>}
      {section === 'versions' && (
        <>
          <InUse model={model.name} loaded={loaded} />
          <Versions model={model} shown={shown} onChoose={(version) => (chosen.value = version)} />
          {shown !== undefined && <VersionActs model={model} version={shown} />}
          {shown !== undefined && <Version key={shown} model={model} version={shown} />}
          <DriftTable watches={watchesOf(model.name)} />
        </>
      )}
      {section === 'comparison' && <Comparison model={model.name} />}
      {section === 'try' && (
        <>
          <VersionChoice model={model} shown={shown} onChoose={(version) => (chosen.value = version)} />
          {shown !== undefined && <TryOut key={shown} model={model.name} version={shown} />}
        </>
      )}
      {section === 'log' && mayManageModels.value && <ActLog model={model.name} />}
    </div>
  );
}

/** The log is for engineers. */
function Tabs({ section }: { readonly section: Section }): JSX.Element {
  const shown = sections.filter((each) => each !== 'log' || mayManageModels.value);
  return (
    <div class="choice" role="group" aria-label={t('models.sections')}>
      {shown.map((each) => (
        <button
          key={each}
          type="button"
          aria-pressed={each === section}
          onClick={() => setQuery({ view: each === 'versions' ? undefined : each })}
        >
          {t(`models.section.${each}`)}
        </button>
      ))}
    </div>
  );
}

function VersionChoice({ model, shown, onChoose }: VersionsProps): JSX.Element {
  return (
    <label>
      {t('models.version')}
      <select value={shown} onChange={(event) => onChoose(Number(event.currentTarget.value))}>
        {model.versions.toReversed().map((version) => (
          <option key={version} value={version}>
            {version}
          </option>
        ))}
      </select>
    </label>
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
  const key = JSON.stringify([model.name, model.versions, count.value, changes.value]);
  const { data, problem } = useAnswer(key, () => readVersions(model.name, count.value), REFRESH_MS);
  return (
    <section class="panel" aria-labelledby="versions-title">
      <h2 id="versions-title">{t('models.section.versions')}</h2>
      <Problem text={problem} />
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
      <Problem text={problem} />
      {data.value !== undefined && <VersionFacts detail={data.value} />}
    </section>
  );
}

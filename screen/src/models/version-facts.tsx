import type { JSX } from 'preact';
import type { VersionDetail } from '../agent/api-types.ts';
import { mayManageModels } from '../agent/session.ts';
import { useAnswer } from '../parts/use-answer.ts';
import { formatDateTime, formatNumber, formatPercent, formatSpan } from '../texts/format.ts';
import { t, word } from '../texts/language.ts';
import { readActs } from './act-log.ts';
import { Documents } from './documents.tsx';

/** What model.yaml and the signature state about a version. */
export function VersionFacts({ detail }: { readonly detail: VersionDetail }): JSX.Element {
  const { description, problem } = detail;
  return (
    <>
      {problem !== null && <p class="problem reason">{problem}</p>}
      {description !== '' && <p>{description}</p>}
      <Facts detail={detail} />
      <Warnings training={detail.training} />
      <div class="halves">
        <Figures metrics={detail.metrics} />
        <TagList detail={detail} />
      </div>
      <FaultTable detection={detail.detection} />
      <Documents detail={detail} />
    </>
  );
}

function Facts({ detail }: { readonly detail: VersionDetail }): JSX.Element {
  const { signature, window, threshold, abnormal, score_unit, golden_vectors, remote, sha256, training } = detail;
  const { data } = training;
  return (
    <dl class="facts">
      <dt>{t('models.signature')}</dt>
      <dd data-bad={signature.state === 'refused'}>{signatureText(signature)}</dd>
      <dt>{t('models.origin')}</dt>
      <dd>
        <Origin detail={detail} />
      </dd>
      {typeof data === 'string' && (
        <>
          <dt>{t('models.data')}</dt>
          <dd>{data}</dd>
        </>
      )}
      {window !== null && (
        <>
          <dt>{t('models.window')}</dt>
          <dd>
            {window.step_ms === null
              ? t('models.windowRows', { steps: window.steps })
              : t('models.windowStep', { steps: window.steps, step: formatStep(window.step_ms) })}
          </dd>
        </>
      )}
      {threshold !== null && abnormal !== null && (
        <>
          <dt>{t('models.threshold')}</dt>
          <dd>
            {t(`models.abnormal.${abnormal}`, { threshold: `${formatNumber(threshold)} ${score_unit ?? ''}`.trim() })}
          </dd>
        </>
      )}
      <dt>{t('models.golden')}</dt>
      <dd>{golden_vectors}</dd>
      {remote !== null && (
        <>
          <dt>{t('models.runsAt')}</dt>
          <dd>{remote.url}</dd>
        </>
      )}
      {sha256 !== null && (
        <>
          <dt>SHA-256</dt>
          <dd class="reason">
            <code>{sha256}</code>
          </dd>
        </>
      )}
    </dl>
  );
}

/** Where a version comes from: model.yaml, and for engineers the log. */
function Origin({ detail }: { readonly detail: VersionDetail }): JSX.Element {
  const { model, version, training } = detail;
  const { andon, algorithm } = training;
  const { data } = useAnswer(`${model}@${version} ${mayManageModels.value}`, () =>
    mayManageModels.value ? readActs(model, { version }) : Promise.resolve(undefined),
  );
  const act = data.value?.entries.find(
    ({ action, outcome }) => outcome === 'ok' && (action === 'install' || action === 'train'),
  );
  const source = act?.detail['url'] ?? act?.detail['folder'];
  return (
    <>
      {typeof andon === 'string' ? t('models.origin.trained', { version: andon }) : t('models.origin.installed')}
      {typeof algorithm === 'string' && `, ${algorithm}`}
      {act !== undefined && (
        <small class="reason">
          {' '}
          {t('models.origin.act', {
            action: t(`models.act.${act.action}`),
            actor: act.actor,
            time: formatDateTime(act.timestamp_ms),
          })}
          {typeof source === 'string' && ` ${t('models.origin.from', { source })}`}
        </small>
      )}
    </>
  );
}

function signatureText({ state, key, reason }: VersionDetail['signature']): string {
  switch (state) {
    case 'unsigned':
      return t('models.signature.unsigned');
    case 'trusted':
    case 'unchecked':
      return t(`models.signature.${state}`, { key: key ?? '' });
    case 'refused':
      return t('models.signature.refused', { reason: reason ?? '' });
  }
}

function formatStep(stepMs: number): string {
  return stepMs < 1000 ? `${stepMs} ms` : formatSpan(stepMs);
}

function Warnings({ training }: Pick<VersionDetail, 'training'>): JSX.Element | null {
  const { warnings } = training;
  const texts = Array.isArray(warnings) ? warnings.filter((each) => typeof each === 'string') : [];
  if (texts.length === 0) return null;
  return (
    <div class="warnings">
      <h3>{t('models.warnings')}</h3>
      <ul>
        {texts.map((text) => (
          <li key={text}>{text}</li>
        ))}
      </ul>
    </div>
  );
}

function Figures({ metrics }: Pick<VersionDetail, 'metrics'>): JSX.Element {
  const figures = Object.entries(metrics);
  return (
    <div class="panel">
      <h3>{t('models.figures')}</h3>
      {figures.length === 0 ? (
        <p>{t('models.noFigures')}</p>
      ) : (
        <table id="figures">
          <thead>
            <tr>
              <th scope="col">{t('models.figure')}</th>
              <th scope="col" class="number">
                {t('models.value')}
              </th>
            </tr>
          </thead>
          <tbody>
            {figures.map(([name, value]) => (
              <tr key={name}>
                <td>{word('models.figure', name).replaceAll('_', ' ')}</td>
                <td class="number">{formatNumber(value)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}

function TagList({ detail: { tags } }: { readonly detail: VersionDetail }): JSX.Element | null {
  if (tags.length === 0) return null;
  return (
    <div class="panel">
      <h3>{t('models.tags')}</h3>
      <table>
        <thead>
          <tr>
            <th scope="col">{t('models.tag')}</th>
            <th scope="col">{t('models.unit')}</th>
            <th scope="col">{t('models.range')}</th>
          </tr>
        </thead>
        <tbody>
          {tags.map(({ name, unit, range }) => (
            <tr key={name}>
              <td class="reason">{name}</td>
              <td>{unit}</td>
              <td>{range === null ? '–' : `${formatNumber(range[0])} – ${formatNumber(range[1])}`}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The share of each injected fault that is found. Shares below a half are marked. */
function FaultTable({ detection }: Pick<VersionDetail, 'detection'>): JSX.Element {
  const rows = Object.entries(detection ?? {});
  const faults = [...new Set(rows.flatMap(([, shares]) => Object.keys(shares)))];
  return (
    <div class="panel">
      <h3>{t('models.faults')}</h3>
      {rows.length === 0 ? (
        <p>{t('models.noFaults')}</p>
      ) : (
        <div class="scroll">
          <table id="faults">
            <thead>
              <tr>
                <th scope="col">{t('models.tag')}</th>
                {faults.map((fault) => (
                  <th key={fault} scope="col" class="number">
                    {word('models.fault', fault)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map(([tag, shares]) => (
                <tr key={tag}>
                  <th scope="row">{tag}</th>
                  {faults.map((fault) => (
                    <td key={fault} class="number" data-bad={(shares[fault] ?? 0) < 0.5}>
                      {formatPercent(shares[fault])}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

import type { JSX } from 'preact';
import type { ListedModel, ListedVersion } from '../agent/api-types.ts';
import { formatBytes, formatDateTime, formatPercent } from '../texts/format.ts';
import { watchesOf } from './watches-of.ts';
import { t, word } from '../texts/language.ts';

type VersionTableProps = {
  readonly model: ListedModel;
  readonly versions: readonly ListedVersion[];
  /** The version whose details are shown. */
  readonly shown: number | undefined;
  readonly onChoose: (version: number) => void;
};

/** The versions of a model, the newest first. */
export function VersionTable({ model, versions, shown, onChoose }: VersionTableProps): JSX.Element {
  return (
    <div class="scroll">
      <table id="versions">
        <thead>
          <tr>
            <th scope="col">{t('models.version')}</th>
            <th scope="col">{t('models.marks')}</th>
            <th scope="col">{t('models.task')}</th>
            <th scope="col" class="number">
              {t('models.falseAlarms')}
            </th>
            <th scope="col">{t('models.signature')}</th>
            <th scope="col">{t('models.written')}</th>
            <th scope="col" class="number">
              {t('models.size')}
            </th>
          </tr>
        </thead>
        <tbody>
          {versions.map((each) => (
            <tr key={each.version} data-chosen={each.version === shown}>
              <td>
                <button type="button" aria-pressed={each.version === shown} onClick={() => onChoose(each.version)}>
                  {each.version}
                </button>
              </td>
              <td>
                <Marks model={model} version={each} />
              </td>
              <td>{each.task === null ? '–' : word('models.task', each.task)}</td>
              <td class="number">{formatPercent(each.metrics['held_out_false_alarm_rate'])}</td>
              <td>{each.signed_by ?? '–'}</td>
              <td>{formatDateTime(each.written_ms)}</td>
              <td class="number">{formatBytes(each.bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Marks({ model, version }: { readonly model: ListedModel; readonly version: ListedVersion }): JSX.Element {
  const { active, previous, pinned, rejected } = model;
  const rejection = rejected.find((each) => each.version === version.version);
  const isActive = active === version.version;
  const isProposed = watchesOf(model.name).some(
    ({ learning }) => learning?.phase === 'proposed' && learning.version === version.version,
  );
  const marks = [
    ...(isActive ? [t('models.mark.active')] : []),
    ...(isActive && pinned ? [t('models.mark.pinned')] : []),
    ...(!isActive && previous === version.version ? [t('models.mark.previous')] : []),
    ...(rejection === undefined ? [] : [t('models.mark.rejected')]),
    ...(isProposed ? [t('models.mark.proposed')] : []),
  ];
  return (
    <>
      {marks.map((mark) => (
        <span key={mark} class="mark">
          {mark}
        </span>
      ))}
      {rejection !== undefined && <small class="reason">{rejection.reason}</small>}
      {version.problem !== null && <small class="reason problem">{version.problem}</small>}
    </>
  );
}

import type { JSX } from 'preact';
import type { Watch } from '../agent/api-types.ts';
import { formatNumber } from '../texts/format.ts';
import { t } from '../texts/language.ts';

/** Population stability index from which drift is major, as the agent uses it. */
const MAJOR_DRIFT = 0.25;

/** Drift of the tags and of the score of each watch that uses a model. */
export function DriftTable({ watches }: { readonly watches: readonly Watch[] }): JSX.Element {
  const rows = watches.flatMap(({ watch, drift }) =>
    Object.entries(drift).map(([tag, index]) => ({ watch, tag, index })),
  );
  return (
    <section class="panel" aria-labelledby="drift-title">
      <h2 id="drift-title">{t('models.drift')}</h2>
      {rows.length === 0 ? (
        <p>{t('models.noDrift')}</p>
      ) : (
        <>
          <p>{t('models.driftNote', { major: formatNumber(MAJOR_DRIFT) })}</p>
          <table id="drift">
            <thead>
              <tr>
                <th scope="col">{t('models.watches')}</th>
                <th scope="col">{t('models.tag')}</th>
                <th scope="col" class="number">
                  {t('models.drift')}
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map(({ watch, tag, index }) => (
                <tr key={`${watch} ${tag}`}>
                  <td>{watch}</td>
                  <td>{tag === 'score' ? t('models.score') : tag}</td>
                  <td class="number" data-bad={index > MAJOR_DRIFT}>
                    {formatNumber(index)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      )}
    </section>
  );
}

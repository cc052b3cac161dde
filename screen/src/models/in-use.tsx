import type { JSX } from 'preact';
import { formatBytes, formatMs, formatNumber } from '../texts/format.ts';
import { t, word } from '../texts/language.ts';
import type { LoadedModels } from './model-directory.ts';

/** The processes that have loaded a model: state, provider, latency and memory of each. */
export function InUse({
  model,
  loaded,
}: {
  readonly model: string;
  readonly loaded: LoadedModels | undefined;
}): JSX.Element {
  const instances = loaded?.models.filter(({ name }) => name === model) ?? [];
  return (
    <section class="panel" aria-labelledby="in-use-title">
      <h2 id="in-use-title">{t('models.inUse')}</h2>
      {loaded !== undefined && loaded.incomplete !== null && (
        <p class="problem">{t('models.incomplete', { reason: loaded.incomplete })}</p>
      )}
      {loaded !== undefined && instances.length === 0 ? (
        <p>{t('models.notLoaded')}</p>
      ) : (
        <div class="scroll">
          <table id="in-use">
            <thead>
              <tr>
                <th scope="col">{t('models.version')}</th>
                <th scope="col">{t('models.process')}</th>
                <th scope="col">{t('models.state')}</th>
                <th scope="col">{t('models.provider')}</th>
                <th scope="col" class="number">
                  {t('models.runs')}
                </th>
                <th scope="col" class="number">
                  {t('models.runTime')}
                </th>
                <th scope="col" class="number">
                  {t('models.waitTime')}
                </th>
                <th scope="col" class="number">
                  {t('models.memory')}
                </th>
              </tr>
            </thead>
            <tbody>
              {instances.map(({ version, state, reason, provider, fallbacks, usage }) => (
                <tr key={`${usage?.host} ${version}`}>
                  <td>{version === 0 ? '–' : version}</td>
                  <td>{usage?.host ?? '–'}</td>
                  <td class="state" data-bad={state === 'failed' || state === 'quarantined'}>
                    {word('models.state', state)} {reason !== '' && <small class="reason">{reason}</small>}
                  </td>
                  <td>
                    {provider ?? '–'}
                    {fallbacks.map((fallback) => (
                      <small key={fallback.provider} class="reason">
                        {' '}
                        {t('models.notOn', fallback)}
                      </small>
                    ))}
                  </td>
                  <td class="number">{formatNumber(usage?.runs)}</td>
                  <td class="number">{formatMs(usage?.mean_run_ms)}</td>
                  <td class="number">{formatMs(usage?.mean_wait_ms)}</td>
                  <td class="number">{formatSize(usage?.resident_bytes)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function formatSize(bytes: number | null | undefined): string {
  return bytes === null || bytes === undefined ? '–' : formatBytes(bytes);
}

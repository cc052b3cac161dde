import type { JSX } from 'preact';
import type { ConfigurationProblem } from '../agent/api-types.ts';
import { t, word } from '../texts/language.ts';

/** Problems of the text with their lines. @param onShow Shows a line in the editor. */
export function ProblemList({
  problems,
  onShow,
}: {
  readonly problems: readonly ConfigurationProblem[];
  readonly onShow?: (line: number) => void;
}): JSX.Element {
  return (
    <ul class="problems" id="problems" aria-label={t('configuration.problems')}>
      {problems.map(({ line, path, message, severity }, index) => (
        <li key={index} data-severity={severity}>
          {onShow === undefined ? (
            <b>{t('configuration.line', { line })}</b>
          ) : (
            <button type="button" onClick={() => onShow(line)}>
              {t('configuration.line', { line })}
            </button>
          )}{' '}
          <strong>{word('severity', severity)}</strong> {path !== '' && <code>{path}</code>} <span>{message}</span>
        </li>
      ))}
    </ul>
  );
}

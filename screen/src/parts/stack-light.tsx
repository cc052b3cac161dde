import type { JSX } from 'preact';
import { plantLamp } from '../agent/plant-lamp.ts';
import { t } from '../texts/language.ts';

/** The signal lamp of all watches together. */
export function StackLight(): JSX.Element {
  const on = plantLamp.value;
  return (
    <svg id="lamp" class="stack" data-on={on} viewBox="0 0 14 30" role="img" aria-label={t(`stack.${on}`)}>
      <rect x="1" y="0" width="12" height="9" rx="2" />
      <rect x="1" y="10" width="12" height="9" rx="2" />
      <rect x="1" y="20" width="12" height="9" rx="2" />
    </svg>
  );
}

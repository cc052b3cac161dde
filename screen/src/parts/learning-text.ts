import type { Watch } from '../agent/api-types.ts';
import { formatSpan } from '../texts/format.ts';
import { language, t } from '../texts/language.ts';

type Learning = NonNullable<Watch['learning']>;

/** Returns how far a watch is in learning, in the language of the page. The words of the agent name the tag that delays it. */
export function learningText({ phase, covered_ms, needed_ms, version, reason }: Learning): string {
  if (language.value === 'en') return reason;
  switch (phase) {
    case 'collecting':
      return t('learning.collecting', { covered: formatSpan(covered_ms), needed: formatSpan(needed_ms) });
    case 'training':
    case 'failed':
      return t(`learning.${phase}`);
    case 'proposed':
      return t('learning.proposed', { version: version ?? '' });
  }
}

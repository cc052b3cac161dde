import type { JSX } from 'preact';
import type { Alarm } from '../agent/api-types.ts';
import { word } from '../texts/language.ts';

const shapes = {
  critical: 'M2 2H18V18H2Z',
  high: 'M10 1.5 19 18H1Z',
  medium: 'M1 2H19L10 18.5Z',
  low: 'M10 1.5A8.5 8.5 0 1 1 10 18.5 8.5 8.5 0 1 1 10 1.5Z',
} as const;
const numbers = { critical: '1', high: '2', medium: '3', low: '4' } as const;

type PriorityMarkProps = {
  readonly priority: Alarm['priority'];
  /** Filled if the alarm is not acknowledged. */
  readonly isFilled: boolean;
};

/** Mark of an alarm priority: its own shape, color and number, as ISA-101 asks. */
export function PriorityMark({ priority, isFilled }: PriorityMarkProps): JSX.Element {
  return (
    <svg
      class="priority"
      data-priority={priority}
      data-filled={isFilled}
      viewBox="0 0 20 20"
      role="img"
      aria-label={word('priority', priority)}
    >
      <path d={shapes[priority]} />
      <text x="10" y={priority === 'medium' ? 12 : priority === 'high' ? 16 : 14.2} text-anchor="middle">
        {numbers[priority]}
      </text>
    </svg>
  );
}

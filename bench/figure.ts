/** One line of the table. */
export type Figure = {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  readonly agent: number;
  /** The same figure of the minimal script or the bare library. */
  readonly limit: number | undefined;
  /** Median over the rounds of agent divided by limit, or for `difference` of agent minus limit. */
  readonly compared: number | undefined;
  readonly goal: Goal | undefined;
};

export type Goal =
  | { readonly kind: 'ratio-at-most' | 'ratio-at-least'; readonly value: number }
  /** Agent minus limit, in the figure's unit. */
  | { readonly kind: 'difference-at-most'; readonly value: number }
  | { readonly kind: 'at-most' | 'at-least'; readonly value: number };

/** @returns Undefined if there is no goal. */
export function meetsGoal({ agent, compared = Number.NaN, goal }: Figure): boolean | undefined {
  switch (goal?.kind) {
    case undefined:
      return undefined;
    case 'ratio-at-most':
    case 'difference-at-most':
      return compared <= goal.value;
    case 'ratio-at-least':
      return compared >= goal.value;
    case 'at-most':
      return agent <= goal.value;
    case 'at-least':
      return agent >= goal.value;
  }
}

export function goalText({ unit, goal }: Figure): string {
  switch (goal?.kind) {
    case undefined:
      return '';
    case 'ratio-at-most':
      return `≤ ${goal.value}×`;
    case 'ratio-at-least':
      return `≥ ${goal.value}×`;
    case 'difference-at-most':
      return `≤ +${goal.value} ${unit}`;
    case 'at-most':
      return `≤ ${goal.value} ${unit}`;
    case 'at-least':
      return `≥ ${goal.value} ${unit}`;
  }
}

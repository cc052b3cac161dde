/** State of the plant in which an alarm has no meaning: a tag is above or below a value. */
export type SuppressingState = { readonly above?: number | undefined; readonly below?: number | undefined };

/** Returns true if a value of the tag suppresses the alarm. */
export function suppresses({ above = Infinity, below = -Infinity }: SuppressingState, value: number): boolean {
  return value > above || value < below;
}

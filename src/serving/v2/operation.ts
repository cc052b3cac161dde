/** Returns the description of a route in the API document. */
export function operation(summary: string) {
  return { summary, tags: ['Open Inference Protocol v2'] };
}

/** True from an act of the person (click, key, wheel) to the next request. Opening the page is one. */
let hasActed = true;

for (const type of ['pointerdown', 'keydown', 'wheel'])
  addEventListener(type, () => (hasActed = true), { capture: true, passive: true });

/**
 * Returns the headers of a request that tell if a person has used the page since the last one. Requests that the page sends
 * by itself do not keep a session, so that an unattended page ends it.
 */
export function activityHeaders(): Readonly<Record<string, string>> {
  if (!hasActed) return { 'x-andon-background': '1' };
  hasActed = false;
  return {};
}

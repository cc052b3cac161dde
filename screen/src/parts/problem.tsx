import type { Signal } from '@preact/signals';
import type { JSX } from 'preact';

/** Why something failed; nothing if it did not. */
export function Problem({ text }: { readonly text: Signal<string | undefined> }): JSX.Element | null {
  if (text.value === undefined) return null;
  return (
    <p class="problem" role="alert">
      {text}
    </p>
  );
}

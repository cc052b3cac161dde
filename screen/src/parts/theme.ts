import { signal } from '@preact/signals';

export const themes = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

const STORED = 'theme';

export const theme = signal<Theme>('auto');

/** Uses the color scheme that a person chose on this device; by default the one of the system. */
export function startTheme(): void {
  const stored = localStorage.getItem(STORED);
  theme.value = themes.find((each) => each === stored) ?? 'auto';
  theme.subscribe((chosen) => (document.documentElement.dataset['theme'] = chosen));
}

/** Keeps a color scheme on this device. */
export function chooseTheme(chosen: string): void {
  const known = themes.find((each) => each === chosen);
  if (known === undefined) return;
  theme.value = known;
  localStorage.setItem(STORED, known);
}

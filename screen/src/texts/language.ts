import { computed, signal } from '@preact/signals';
import { type Catalogue, en, type TextKey } from './en.ts';

export const languages = { en: 'English', de: 'Deutsch', zh: '中文' } as const;
export type Language = keyof typeof languages;

const STORED = 'language';

export const language = signal<Language>('en');
/** Language with the region that the browser prefers, for numbers and dates: British dates for a British browser. */
export const locale = computed(
  () => navigator.languages.find((each) => each.split('-')[0] === language.value) ?? language.value,
);
const catalogue = signal<Catalogue>(en);
/** Reasons of the agent by their code; empty for English, the language of the agent. */
const troubles = signal<Readonly<Record<string, string>>>({});

/** Names of the placeholders of a text: 'count' for '{count} alarms'. */
type Placeholders<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Placeholders<Rest>
  : never;
type Values<Key extends TextKey> = [Placeholders<(typeof en)[Key]>] extends [never]
  ? []
  : [values: Readonly<Record<Placeholders<(typeof en)[Key]>, string | number>>];

/** Returns a text in the language of the page. */
export function t<Key extends TextKey>(key: Key, ...[values]: Values<Key>): string {
  const text = catalogue.value[key];
  return values === undefined ? text : fill(text, values);
}

/** Returns the text of a word of the API, such as the state of an alarm; the word itself without a text for it. */
export function word(
  kind:
    | 'state'
    | 'watch'
    | 'priority'
    | 'cause'
    | 'component'
    | 'health'
    | 'role'
    | 'quality'
    | 'severity'
    | 'applied'
    | 'models.state'
    | 'models.task'
    | 'models.figure'
    | 'models.fault',
  name: string,
): string {
  const key = `${kind}.${name}`;
  return Object.hasOwn(catalogue.value, key) ? catalogue.value[key as TextKey] : name;
}

/** Returns the text of a reason of health; undefined for a code without a translation, and in English. */
export function troubleText(code: string): string | undefined {
  return Object.hasOwn(troubles.value, code) ? troubles.value[code] : undefined;
}

function fill(text: string, values: Readonly<Record<string, string | number>>): string {
  return text.replace(/\{(\w+)\}/g, (_whole, name: string) => String(values[name]));
}

/** Uses the language that a person chose on this device, or else the first one of the browser that the page has. */
export async function startLanguage(): Promise<void> {
  const stored = localStorage.getItem(STORED);
  const wanted = stored === null ? navigator.languages.map((each) => each.slice(0, 2)) : [stored];
  await useLanguage(wanted.find(isLanguage) ?? 'en');
}

/** Keeps a language on this device and shows it. */
export async function chooseLanguage(chosen: string): Promise<void> {
  if (!isLanguage(chosen)) return;
  localStorage.setItem(STORED, chosen);
  await useLanguage(chosen);
}

/** Shows a language. */
export async function useLanguage(chosen: Language): Promise<void> {
  const loaded = await load(chosen);
  catalogue.value = loaded.texts;
  troubles.value = loaded.troubles;
  language.value = chosen;
  if (typeof document !== 'undefined') document.documentElement.lang = chosen;
}

type Loaded = { readonly texts: Catalogue; readonly troubles: Readonly<Record<string, string>> };

async function load(chosen: Language): Promise<Loaded> {
  switch (chosen) {
    case 'en':
      return { texts: en, troubles: {} };
    case 'de': {
      const [{ de }, { deTroubles }] = await Promise.all([import('./de.ts'), import('./de-troubles.ts')]);
      return { texts: de, troubles: deTroubles };
    }
    case 'zh': {
      const [{ zh }, { zhTroubles }] = await Promise.all([import('./zh.ts'), import('./zh-troubles.ts')]);
      return { texts: zh, troubles: zhTroubles };
    }
  }
}

function isLanguage(name: string): name is Language {
  return Object.hasOwn(languages, name);
}

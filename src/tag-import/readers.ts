import type { ImportSettings, TagImport } from './imported-tags.ts';
import { readIgnition } from './ignition.ts';
import { readKepware } from './kepware.ts';
import { readNeuron } from './neuron.ts';
import { readRegisterList } from './register-list.ts';
import { readTelegraf } from './telegraf.ts';

/** Readers of the files of other tools, by the name that `--as` takes. */
export const tagReaders = {
  csv: readRegisterList,
  kepware: readKepware,
  ignition: readIgnition,
  telegraf: readTelegraf,
  neuron: readNeuron,
} as const satisfies Readonly<Record<string, (text: string, settings: ImportSettings) => TagImport>>;

export type TagReaderName = keyof typeof tagReaders;

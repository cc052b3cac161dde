import { parse, TomlError } from 'smol-toml';
import { isPlainObject } from '../platform/positioned-document.ts';
import { parseDurationMs } from '../domain/duration.ts';
import { ImportDraft, sourceId, type TagImport } from './imported-tags.ts';
import { SharedNames } from './shared-names.ts';
import { type TelegrafField, telegrafTag } from './telegraf-field.ts';
import { telegrafUrl } from './telegraf-url.ts';
import { TextLocator } from './text-locator.ts';

type Table = Readonly<Record<string, unknown>>;

/** Settings of the plugin that have an equivalent, or need none. */
const knownSettings: ReadonlySet<string> = new Set(
  [
    'name slave_id timeout interval controller transmission_mode configuration_type workarounds request metric',
    'baud_rate data_bits parity stop_bits discrete_inputs coils holding_registers input_registers',
    'tags alias debug_connection log_level precision collection_jitter name_override name_prefix name_suffix',
    // andon joins reads itself, and repeats failed ones.
    'optimization optimization_max_register_fill busy_retries busy_retries_wait exclude_register_type_tag',
  ].flatMap((names) => names.split(' ')),
);

const registerTables = {
  discrete_inputs: 'discrete',
  coils: 'coil',
  holding_registers: 'holding',
  input_registers: 'input',
} as const;

/** Reads the sections `[[inputs.modbus]]` of a Telegraf configuration (TOML). */
export function readTelegraf(text: string): TagImport {
  const draft = new ImportDraft();
  const document = parsed(text, draft);
  const plugins = tablesOf(tableOf(document['inputs'])['modbus']);
  const locator = new TextLocator(text);
  const names = new SharedNames();
  const agent = tableOf(document['agent']);
  for (const plugin of plugins) {
    locator.moveTo(/^\s*\[\[\s*inputs\.modbus\s*\]\]/);
    new PluginReader(plugin, { draft, locator, names, interval: agent['interval'] }).read();
  }
  names.addTo(draft);
  const others = sectionsOf(document);
  if (others.length > 0) draft.addNote(`only inputs.modbus is imported; left out: ${others.join(', ')}`);
  return draft.result();
}

function parsed(text: string, draft: ImportDraft): Table {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const found = text.split('\n')[error.line - 1]?.trim() ?? '';
    const reason = `the file is not valid TOML: ${error.message.split('\n')[0] ?? ''}`;
    draft.addFinding({ line: error.line, found, reason, remedy: 'correct it; telegraf config check names it too' });
    return {};
  }
}

function sectionsOf(document: Table): readonly string[] {
  return ['inputs', 'outputs', 'processors', 'aggregators'].flatMap((kind) =>
    Object.keys(tableOf(document[kind]))
      .map((name) => `${kind}.${name}`)
      .filter((name) => name !== 'inputs.modbus'),
  );
}

type PluginContext = {
  readonly draft: ImportDraft;
  readonly locator: TextLocator;
  readonly names: SharedNames;
  /** Interval of the agent. */
  readonly interval: unknown;
};

class PluginReader {
  readonly #plugin: Table;
  readonly #context: PluginContext;
  readonly #line: number;
  readonly #name: string;
  readonly #units = new Set<number>();

  constructor(plugin: Table, context: PluginContext) {
    this.#plugin = plugin;
    this.#context = context;
    this.#line = context.locator.line;
    this.#name = textOf(plugin['name']) ?? 'modbus';
  }

  read(): void {
    const keys = this.#sourceKeys();
    const fields = [...this.#fields()];
    for (const { unitId } of fields) this.#units.add(unitId);
    const { draft, names } = this.#context;
    const id = names.sourceIdOf(sourceId(this.#name), this.#units.size > 1 ? [...this.#units] : []);
    const stringLocation = textOf(tableOf(this.#plugin['workarounds'])['string_register_location']);
    for (const field of fields) {
      const tag = telegrafTag(field, stringLocation);
      const { name, measurement, line, unitId, register } = field;
      if ('reason' in tag) draft.addFinding({ line, name, ...tag });
      else {
        const source = this.#units.size > 1 ? `${id}-unit-${unitId}` : id;
        draft.addSource(source, { ...keys, unitId });
        const levels = [
          [this.#name, name],
          [this.#name, measurement, name],
          [this.#name, `unit-${unitId}`, measurement, register, name],
        ];
        names.add({ source, levels, keys: tag.keys, line });
        if (tag.note !== undefined) draft.addNote(`${this.#name}: ${name}: ${tag.note}`);
      }
    }
  }

  /** Returns the keys of the source without its unit. */
  #sourceKeys(): Readonly<Record<string, unknown>> {
    const plugin = this.#plugin;
    const url = telegrafUrl(plugin);
    if (url.reason !== undefined) this.#report('controller', plugin['controller'], url.reason, url.remedy ?? '');
    for (const [key, value] of Object.entries(plugin))
      if (!knownSettings.has(key))
        this.#report(key, value, 'the setting has no equivalent', 'check whether you need it');
    const workarounds = tableOf(plugin['workarounds']);
    const { pause_after_connect, pause_between_requests, close_connection_after_gather, ...rest } = workarounds;
    for (const [key, value] of Object.entries(rest))
      if (key !== 'string_register_location' && value !== false)
        this.#report(key, value, 'the workaround has no equivalent', 'see maxGap and maxRegistersPerRequest');
    return {
      url: url.url,
      scanInterval: this.#duration('interval', plugin['interval'] ?? this.#context.interval),
      timeout: this.#duration('timeout', plugin['timeout']),
      pauseAfterConnect: this.#duration('pause_after_connect', pause_after_connect),
      pauseBetweenRequests: this.#duration('pause_between_requests', pause_between_requests),
      closeAfterScan: close_connection_after_gather === true ? true : undefined,
    };
  }

  #duration(key: string, value: unknown): string | undefined {
    if (value === undefined) return undefined;
    const text = typeof value === 'string' ? value : '';
    if (parseDurationMs(text) !== undefined) return text === '0ms' ? undefined : text;
    this.#report(key, value, 'this is not a duration', 'expected 500ms, 10s or 1m');
    return undefined;
  }

  *#fields(): Generator<TelegrafField> {
    const plugin = this.#plugin;
    const style = textOf(plugin['configuration_type']) || 'register';
    if (style === 'register') yield* this.#registerFields();
    else if (style === 'request') yield* this.#blockFields('request');
    else if (style === 'metric') yield* this.#blockFields('metric');
    else
      this.#report('configuration_type', style, 'the style is unknown', 'expected register, request or metric', false);
  }

  *#registerFields(): Generator<TelegrafField> {
    const unitId = numberOf(this.#plugin['slave_id']) ?? 0;
    for (const [key, register] of entriesOf(this.#plugin))
      for (const field of tablesOf(this.#plugin[key])) {
        const { name, byte_order, data_type, address, scale, bit, measurement, ...rest } = field;
        const registers = (Array.isArray(address) ? address : [address]).map(Number);
        yield {
          ...this.#common({ name, scale, bit, measurement }, rest),
          style: 'register',
          register,
          unitId,
          type: textOf(data_type),
          address: registers[0] ?? NaN,
          registers,
          length: registers.length,
          byteOrder: textOf(byte_order),
          output: undefined,
        };
      }
  }

  *#blockFields(style: 'request' | 'metric'): Generator<TelegrafField> {
    for (const block of tablesOf(this.#plugin[style])) {
      const unitId = numberOf(block['slave_id']) ?? 0;
      this.#context.locator.moveTo(new RegExp(String.raw`^\s*\[\[\s*inputs\.modbus\.${style}\s*\]\]`));
      for (const field of tablesOf(block['fields'])) {
        const { name, address, type, length, scale, bit, output, measurement, omit, register, ...rest } = field;
        if (omit === true) continue;
        yield {
          ...this.#common({ name, scale, bit, measurement: measurement ?? block['measurement'] }, rest),
          style,
          register: registerOf(textOf(style === 'request' ? block['register'] : register)),
          unitId,
          type: textOf(type),
          address: numberOf(address) ?? NaN,
          registers: undefined,
          length: numberOf(length),
          byteOrder: textOf(block['byte_order']),
          output: textOf(output),
        };
      }
    }
  }

  /** @param rest Keys without a meaning here. */
  #common({ name, scale, bit, measurement }: Table, rest: Table) {
    const shown = textOf(name) ?? '';
    return {
      name: shown,
      line: this.#context.locator.lineOf(shown),
      measurement: textOf(measurement) ?? 'modbus',
      scale: numberOf(scale),
      bit: numberOf(bit),
      unknown: Object.keys(rest),
    };
  }

  #report(key: string, value: unknown, reason: string, remedy: string, imported = true): void {
    const line = this.#context.locator.lineOfKey(key, this.#line);
    const found = `${key} = ${JSON.stringify(value)}`;
    this.#context.draft.addFinding({ line, name: this.#name, found, reason, remedy, imported });
  }
}

/** The register lists of a plugin, in the order of the file. */
function entriesOf(plugin: Table) {
  return Object.keys(plugin).flatMap((key) => {
    const known = Object.entries(registerTables).find(([table]) => table === key);
    return known === undefined ? [] : [[key, known[1]] as const];
  });
}

function registerOf(text: string | undefined): TelegrafField['register'] {
  return text === 'coil' || text === 'discrete' || text === 'input' ? text : 'holding';
}

function tableOf(value: unknown): Table {
  return isPlainObject(value) ? value : {};
}

function tablesOf(value: unknown): readonly Table[] {
  return (Array.isArray(value) ? value : [value]).filter(isPlainObject);
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : typeof value === 'bigint' ? Number(value) : undefined;
}

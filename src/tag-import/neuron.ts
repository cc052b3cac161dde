import { isPlainObject } from '../platform/positioned-document.ts';
import { parseCsvTable } from '../csv/csv-table.ts';
import { simplified } from '../domain/nearest-word.ts';
import { registersOf } from '../sources/modbus/frame/register-decode.ts';
import { ImportDraft, type ImportSettings, sourceId, type TagImport, type TagKeys } from './imported-tags.ts';
import { LocatedJson } from './located-json.ts';
import { type NeuronAddress, neuronAddress, neuronDeviceOrder, neuronOrder, neuronType } from './neuron-address.ts';
import { type NeuronDevice, neuronDevice } from './neuron-device.ts';
import { factorScaling } from './scaling.ts';
import { SharedNames } from './shared-names.ts';

type Fields = Readonly<Record<string, unknown>>;

/** A tag with the device and group that it belongs to. */
type NeuronTag = {
  readonly node: string;
  readonly group: string;
  readonly intervalMs: number | undefined;
  readonly line: number;
  readonly fields: Fields;
};

/** Facts of the tags of one device. */
type NodeFacts = { readonly units: Set<number>; hasZero: boolean };

type NeuronNode = { plugin: string; params: Fields | undefined };

/** Reads a configuration, template or tag list of EMQX Neuron: JSON, or a CSV of its spreadsheet. */
export function readNeuron(text: string, settings: ImportSettings): TagImport {
  const draft = new ImportDraft();
  const isJson = /^\s*(?:\/\/.*\s*)*[[{]/.test(text.replace(/^\uFEFF/, ''));
  const list = isJson ? fromJson(text, draft) : fromCsv(text, draft);
  new NeuronReader(draft, settings, list).read();
  return draft.result();
}

type TagList = { readonly tags: readonly NeuronTag[]; readonly nodes: ReadonlyMap<string, NeuronNode> };

function fromJson(text: string, draft: ImportDraft): TagList {
  const json = new LocatedJson(text, draft);
  const walk = new JsonWalk(json);
  walk.visit(json.value, { node: '', group: '', intervalMs: undefined });
  return walk.list();
}

type Context = Pick<NeuronTag, 'node' | 'group' | 'intervalMs'>;

/** Finds devices, groups and tags in each form of Neuron's JSON: global configuration, drivers, templates, tags. */
class JsonWalk {
  readonly #json: LocatedJson;
  readonly #nodes = new Map<string, NeuronNode>();
  readonly #tags: NeuronTag[] = [];
  /** Intervals of groups that are listed apart from their tags, by `node/group`. */
  readonly #intervals = new Map<string, number>();

  constructor(json: LocatedJson) {
    this.#json = json;
  }

  list(): TagList {
    const tags = this.#tags.map((tag) => ({
      ...tag,
      intervalMs: tag.intervalMs ?? this.#intervals.get(`${tag.node}/${tag.group}`),
    }));
    return { tags, nodes: this.#nodes };
  }

  visit(value: unknown, context: Context): void {
    if (Array.isArray(value)) for (const item of value) this.visit(item, context);
    if (!isPlainObject(value)) return;
    if (typeof value['address'] === 'string') {
      this.#tags.push({ ...context, line: this.#json.lineOf(value), fields: value });
      return;
    }
    const here = this.#contextOf(value, context);
    if (typeof value['plugin'] === 'string') this.#nodeOf(here.node).plugin = value['plugin'];
    if (isPlainObject(value['params'])) this.#nodeOf(here.node).params = value['params'];
    if (here.group !== '' && here.intervalMs !== undefined)
      this.#intervals.set(`${here.node}/${here.group}`, here.intervalMs);
    for (const each of Object.values(value)) if (typeof each === 'object') this.visit(each, here);
  }

  #contextOf(value: Fields, { node, group, intervalMs }: Context): Context {
    const interval = value['interval'];
    const isGroup = interval !== undefined || Array.isArray(value['tags']);
    const own = typeof value['plugin'] === 'string' ? value['name'] : (value['driver'] ?? value['node']);
    const named = value['group'] ?? (isGroup && own === undefined ? value['name'] : undefined);
    return {
      node: textOf(own) ?? node,
      group: textOf(named) ?? group,
      intervalMs: typeof interval === 'number' && isGroup && value['params'] === undefined ? interval : intervalMs,
    };
  }

  #nodeOf(name: string): NeuronNode {
    const node = this.#nodes.get(name) ?? { plugin: '', params: undefined };
    this.#nodes.set(name, node);
    return node;
  }
}

/** Names of the columns of Neuron's spreadsheet and of its CSV files. */
const columnNames: Readonly<Record<string, readonly string[]>> = {
  node: ['node', 'driver', 'drivername'],
  group: ['group', 'groupname'],
  interval: ['interval'],
  name: ['name', 'tag', 'tagname'],
  address: ['address'],
  attribute: ['attribute'],
  type: ['type', 'datatype'],
  decimal: ['decimal'],
  bias: ['bias'],
};

function fromCsv(text: string, draft: ImportDraft): TagList {
  const table = parseCsvTable(text);
  const { header, rows } = table;
  const headers = (header?.cells ?? []).map(simplified);
  const columns = new Map(
    Object.entries(columnNames).map(([key, names]) => [key, headers.findIndex((each) => names.includes(each))]),
  );
  if (columns.get('address') === -1 || columns.get('name') === -1) {
    const found = (header?.text ?? '').slice(0, 60);
    const reason = 'there are no columns name and address';
    draft.addFinding({ line: header?.line ?? 1, found, reason, remedy: 'save the spreadsheet of Neuron as CSV' });
    return { tags: [], nodes: new Map() };
  }
  draft.addBroken(table);
  const tags = rows.map(({ cells, line }) => {
    const filled = [...columns].map(([key, index]) => [key, cells[index] ?? ''] as const);
    const fields = Object.fromEntries(filled.filter(([, cell]) => cell !== ''));
    const interval = Number(fields['interval'] ?? NaN);
    const intervalMs = interval > 0 ? interval : undefined;
    return { node: textOf(fields['node']) ?? '', group: textOf(fields['group']) ?? '', intervalMs, line, fields };
  });
  return { tags, nodes: new Map() };
}

class NeuronReader {
  readonly #draft: ImportDraft;
  readonly #settings: ImportSettings;
  readonly #list: TagList;
  readonly #names = new SharedNames();
  readonly #devices = new Map<string, NeuronDevice>();
  readonly #facts = new Map<string, NodeFacts>();

  constructor(draft: ImportDraft, settings: ImportSettings, list: TagList) {
    this.#draft = draft;
    this.#settings = settings;
    this.#list = list;
  }

  read(): void {
    const { tags, nodes } = this.#list;
    for (const { node, fields } of tags) {
      const facts = this.#factsOf(node);
      const address = neuronAddress(textOf(fields['address']) ?? '');
      if (address !== undefined) facts.units.add(address.unitId);
      if (address?.number === 0) facts.hasZero = true;
    }
    for (const [name, { plugin, params }] of nodes) {
      const first = tags.find(({ node }) => node === name);
      if (params === undefined || first === undefined) continue;
      const device = neuronDevice(plugin, params);
      this.#devices.set(name, device);
      if (device.problem !== undefined) {
        const found = { line: first.line, name, found: plugin, reason: device.problem };
        this.#draft.addFinding({ ...found, remedy: 'set the url of the source', imported: true });
      }
    }
    for (const tag of tags) this.#read(tag);
    this.#names.addTo(this.#draft);
  }

  #read(tag: NeuronTag): void {
    const { node, group, fields, line } = tag;
    const name = textOf(fields['name']) ?? '';
    const report = (found: unknown, reason: string, remedy: string) =>
      this.#draft.addFinding({ line, name, found: String(found), reason, remedy });
    const address = neuronAddress(textOf(fields['address']) ?? '');
    const type = neuronType(fields['type']);
    const attribute = attributeOf(fields['attribute']);
    if (name === '') report(fields['address'], 'the tag has no name', 'give it a name');
    else if (attribute.isStatic) report('static', 'the value is not in the device', 'leave it out');
    else if (!attribute.isRead)
      report(fields['attribute'], 'the tag is written only', 'andon only reads; leave it out');
    else if (address === undefined)
      report(
        fields['address'],
        'this is not an address of a Modbus device',
        'expected 1!400001, 1!400001.3, 1!400001#BB or 1!400001.20H',
      );
    else if (type === undefined)
      report(`type ${String(fields['type'])}`, 'the type has no equivalent', 'add it by hand');
    else {
      const keys = this.#keys(tag, address, type, report);
      if (keys === undefined) return;
      const source = this.#source(node, address.unitId);
      const levels = [
        [node, name],
        [node, group, name],
        [node, `unit-${address.unitId}`, group, name],
      ];
      this.#names.add({ source, levels: levels.map((parts) => parts.filter((part) => part !== '')), keys, line });
    }
  }

  #factsOf(node: string): NodeFacts {
    const facts = this.#facts.get(node) ?? { units: new Set(), hasZero: false };
    this.#facts.set(node, facts);
    return facts;
  }

  #source(node: string, unitId: number): string {
    const { units } = this.#factsOf(node);
    const id = sourceId(node);
    const source = units.size > 1 ? `${id}-unit-${unitId}` : id;
    const device = this.#devices.get(node);
    this.#draft.addSource(source, { ...device?.keys, unitId });
    return source;
  }

  #keys(
    { node, intervalMs, fields }: NeuronTag,
    address: NeuronAddress,
    type: TagKeys['type'],
    report: (found: unknown, reason: string, remedy: string) => void,
  ): TagKeys | undefined {
    const { register, number, part, layout } = address;
    const isText = type === 'string' || type === 'bytes';
    const byteOrder = isText ? undefined : this.#order(node, address, type);
    if (byteOrder === 'unknown') {
      report(
        `#${address.order}`,
        `${type} has no such byte order`,
        'expected #LL, #LB, #BL or #BB for 32 bits, #L or #B otherwise',
      );
      return undefined;
    }
    if (isText && part === undefined) {
      report(fields['address'], 'a text needs a length', 'expected 1!400001.20H');
      return undefined;
    }
    const base = this.#base(node);
    const isBits = register === 'coil' || register === 'discrete';
    const bit = type === 'bool' && !isBits ? (part ?? 0) : undefined;
    const decimal = Number(fields['decimal'] ?? 0);
    const text = isText ? textLayout(layout) : {};
    return {
      register,
      address: number - base,
      type,
      bit,
      length: isText ? part : undefined,
      byteOrder,
      ...text,
      ...(isText || isBits ? {} : factorScaling(decimal === 0 ? 1 : decimal, Number(fields['bias'] ?? 0))),
      scanInterval: intervalMs === undefined ? undefined : `${intervalMs}ms`,
    };
  }

  #order(node: string, { order }: NeuronAddress, type: Exclude<TagKeys['type'], 'string' | 'bytes'>) {
    if (type === 'bool') return undefined;
    if (order !== undefined) {
      const found = neuronOrder(order, type);
      return found === undefined ? 'unknown' : found === 'ABCD' ? undefined : found;
    }
    const registers = registersOf(type);
    if (registers === 1) return undefined;
    const params = this.#list.nodes.get(node)?.params;
    const setting = params?.[registers === 4 ? 'endianess_64' : 'endianess'] ?? (params === undefined ? undefined : 1);
    const found = neuronDeviceOrder(setting) ?? this.#settings.byteOrder;
    if (found === undefined)
      this.#draft.leaveOpen(
        'byteOrder',
        'the file does not contain the device setting Endianness, which holds for addresses without #. ABCD is the default of Neuron',
      );
    return found === 'ABCD' ? undefined : found;
  }

  #base(node: string): number {
    const setting = this.#list.nodes.get(node)?.params?.['address_base'];
    if (setting === 0 || setting === 1) return setting;
    if (this.#settings.addressBase !== undefined) return this.#settings.addressBase;
    if (this.#factsOf(node).hasZero) return 0;
    this.#draft.leaveOpen(
      'addressBase',
      'the file does not contain the device setting Start Address. 1: 400001 is the first register, the default of Neuron. 0: 400000 is the first register',
    );
    return 1;
  }
}

/** H and no letter: the high byte first. L: the low byte first. D and E: one byte of each register. */
function textLayout(layout: string | undefined): Pick<TagKeys, 'byte' | 'byteOrder'> {
  if (layout === 'L') return { byteOrder: 'BADC' };
  return layout === 'D' ? { byte: 'low' } : layout === 'E' ? { byte: 'high' } : {};
}

/** Bits of the attribute: 1 read, 2 write, 4 subscribe, 8 static. Spreadsheets have words. */
function attributeOf(attribute: unknown): { readonly isRead: boolean; readonly isStatic: boolean } {
  const bits = Number(attribute ?? 1);
  if (Number.isFinite(bits)) return { isRead: (bits & 0b0101) !== 0 || (bits & 8) !== 0, isStatic: (bits & 8) !== 0 };
  const words = String(attribute).toLowerCase();
  return { isRead: /read|subscribe|rw|读|订阅/.test(words), isStatic: /static/.test(words) };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

import { type CsvTable, parseCsvTable } from '../csv/csv-table.ts';
import { simplified } from '../domain/nearest-word.ts';
import { registersOf } from '../sources/modbus/frame/register-decode.ts';
import { type IgnitionAddress, ignitionAddress } from './ignition-address.ts';
import { boundText, type IgnitionTag, ignitionTags } from './ignition-tree.ts';
import {
  ImportDraft,
  type ImportSettings,
  type Report,
  sourceId,
  type TagImport,
  type TagKeys,
} from './imported-tags.ts';
import { LocatedJson } from './located-json.ts';
import { linearScaling, type Scaling, squareRootExpression } from './scaling.ts';

/** Reads a tag export of Ignition: JSON, or the CSV of version 7. */
export function readIgnition(text: string, settings: ImportSettings): TagImport {
  const draft = new ImportDraft();
  const isJson = /^\s*[[{]/.test(text.replace(/^\uFEFF/, ''));
  const tags = isJson ? fromJson(text, draft) : fromCsv(parseCsvTable(text), draft);
  new IgnitionReader(draft, settings).read(tags);
  return draft.result();
}

function fromJson(text: string, draft: ImportDraft): readonly IgnitionTag[] {
  const { tags, missing } = ignitionTags(new LocatedJson(text, draft));
  for (const { path, typeId, line } of missing) {
    const remedy = 'export the tag provider with its data types';
    draft.addFinding({ line, name: path.join('/'), found: typeId, reason: 'the UDT is not in the file', remedy });
  }
  return tags;
}

/** Properties that the CSV of version 7 has as numbers. */
const csvScaleModes = ['Off', 'Linear', 'SquareRoot'];

function fromCsv(table: CsvTable, draft: ImportDraft): readonly IgnitionTag[] {
  const headers = (table.header?.cells ?? []).map(simplified);
  const column = (name: string) => headers.indexOf(name);
  if (column('opcitempath') < 0 || column('name') < 0) {
    const found = (table.header?.text ?? '').slice(0, 60);
    const remedy = 'export the tags as JSON';
    draft.addFinding({ line: table.header?.line ?? 1, found, reason: 'this is not a tag export of Ignition', remedy });
    return [];
  }
  return table.rows.flatMap(({ cells, line }) => {
    const cell = (name: string) => cells[column(name)] || undefined;
    if (cell('opcitempath') === undefined) return [];
    const folders = (cell('path') ?? '')
      .replace(/^\[[^\]]*\]/, '')
      .split('/')
      .filter(Boolean);
    const fields = {
      valueSource: 'opc',
      opcItemPath: cell('opcitempath'),
      enabled: !/^(false|0)$/i.test(cell('enabled') ?? ''),
      dataType: cell('datatype'),
      scaleMode: csvScaleModes[Number(cell('scalemode') ?? 0)] ?? cell('scalemode'),
      rawLow: cell('rawlow'),
      rawHigh: cell('rawhigh'),
      scaledLow: cell('scaledlow'),
      scaledHigh: cell('scaledhigh'),
      engUnit: cell('engunit'),
      engLow: cell('englow'),
      engHigh: cell('enghigh'),
      deadband: cell('deadband'),
    };
    const path = [...folders, cell('name') ?? ''];
    return [{ path, fields, parameters: new Map<string, string>(), line }];
  });
}

type Accepted = { readonly tag: IgnitionTag; readonly address: IgnitionAddress; readonly keys: Partial<TagKeys> };

class IgnitionReader {
  readonly #draft: ImportDraft;
  readonly #settings: ImportSettings;

  constructor(draft: ImportDraft, settings: ImportSettings) {
    this.#draft = draft;
    this.#settings = settings;
  }

  read(tags: readonly IgnitionTag[]): void {
    const disabled = tags.filter((tag) => property(tag, 'enabled') === 'false').length;
    if (disabled > 0) this.#draft.addNote(`tags that are disabled in Ignition are left out: ${disabled}`);
    const accepted = tags
      .filter((tag) => property(tag, 'enabled') !== 'false')
      .map((tag) => this.#accept(tag))
      .filter((each) => each !== undefined);
    const zero = zeroDevices(accepted);
    this.#leaveOpen(accepted, zero);
    const devices = Map.groupBy(accepted, ({ address }) => address.device);
    for (const ofDevice of devices.values()) {
      const hasUnits = new Set(ofDevice.map(({ address }) => address.unitId)).size > 1;
      for (const each of ofDevice) this.#add(each, hasUnits, zero);
    }
  }

  #leaveOpen(accepted: readonly Accepted[], zero: ReadonlySet<string>): void {
    const isOpen = accepted.some(({ address }) => !zero.has(address.device));
    if (isOpen && this.#settings.addressBase === undefined)
      this.#draft.leaveOpen(
        'addressBase',
        'the export does not contain the device setting Zero-based Addressing. 1: it is off, the default of Ignition, and HR1 is the first register. 0: it is on',
      );
    const isWide = accepted.some(({ address: { type } }) => isNumber(type) && registersOf(type) > 1);
    if (isWide && this.#settings.byteOrder === undefined)
      this.#draft.leaveOpen(
        'byteOrder',
        'the export does not contain the device setting Reverse Word Order, which swaps ABCD and CDAB. Compare a value of the device: andon probe URL --expect VALUE',
      );
  }

  #accept(tag: IgnitionTag): Accepted | undefined {
    const report = this.#draft.reporter(tag.line, tag.path.join('/'));
    const source = property(tag, 'valueSource') ?? 'opc';
    if (source !== 'opc') {
      const remedy = source === 'expr' ? 'a derived tag calculates values' : 'leave it out, or add it by hand';
      report(`valueSource ${source}`, 'the value does not come from a device', remedy);
      return undefined;
    }
    const path = property(tag, 'opcItemPath');
    const address = ignitionAddress(path ?? '');
    if (path === undefined)
      report(shown(tag.fields['opcItemPath']), 'a parameter has no value', 'give it one in Ignition');
    else if (address === undefined)
      report(
        path,
        'this is not an address of the Modbus driver',
        'expected [Device]HR1, HRF1, HRS1:20, IR1, C1, DI1 or HR1.3; custom prefixes are settings of the device',
      );
    else {
      const scaling = this.#scaling(tag, report);
      if (scaling !== 'refused') return { tag, address, keys: { ...scaling, ...limits(tag, report) } };
    }
    return undefined;
  }

  #scaling(tag: IgnitionTag, report: Report): Partial<Scaling> | 'refused' {
    const mode = property(tag, 'scaleMode') ?? 'Off';
    if (/^(off|none)$/i.test(mode)) return {};
    const ends = (low: string, high: string) =>
      [Number(property(tag, low) ?? 0), Number(property(tag, high) ?? 10)] as const;
    const [raw, scaled] = [ends('rawLow', 'rawHigh'), ends('scaledLow', 'scaledHigh')];
    const found = `${mode} ${raw.join('..')} to ${scaled.join('..')}`;
    const clamp = property(tag, 'clampMode');
    const scaling = linearScaling(raw, scaled);
    if (/^square_?root$/i.test(mode)) {
      const expression = squareRootExpression(`${tag.path.join('.')}.raw`, raw, scaled);
      report(
        found,
        'a tag cannot take a square root',
        `add it by hand with the name of the expression, and a derived tag: "${expression}"`,
      );
    } else if (!/^linear$/i.test(mode)) report(mode, 'the scaling is unknown', 'expected Linear or Square Root');
    else if (scaling === undefined) report(found, 'the ranges give no factor', 'correct the ranges');
    else {
      if (clamp !== undefined && !/^no_?clamp$/i.test(clamp))
        report(clamp, 'values are not clamped by andon', 'set range: a value outside it is uncertain', true);
      return scaling;
    }
    return 'refused';
  }

  #add({ tag, address, keys }: Accepted, hasUnits: boolean, zero: ReadonlySet<string>): void {
    const { device, unitId, register, number, type, bit, length } = address;
    const base = this.#settings.addressBase ?? (zero.has(device) ? 0 : 1);
    const id = hasUnits && unitId !== undefined ? `${sourceId(device)}-unit-${unitId}` : sourceId(device);
    this.#draft.addSource(id, unitId === undefined ? {} : { unitId });
    const isBoolean = property(tag, 'dataType') === 'Boolean' && (type === 'int16' || type === 'uint16');
    const isWide = isNumber(type) && registersOf(type) > 1;
    this.#draft.addTag(
      id,
      tag.path.join('/'),
      {
        ...keys,
        register,
        address: number - base,
        type: isBoolean ? 'bool' : type,
        bit,
        length,
        byteOrder: isWide ? this.#settings.byteOrder : undefined,
      },
      tag.line,
    );
  }
}

/** Returns the devices that have a register 0: their numbers count from 0. */
function zeroDevices(accepted: readonly Accepted[]): ReadonlySet<string> {
  return new Set(accepted.filter(({ address }) => address.number === 0).map(({ address }) => address.device));
}

function isNumber(type: TagKeys['type']): type is Exclude<TagKeys['type'], 'string' | 'bytes'> {
  return type !== 'string' && type !== 'bytes';
}

/** Unit, deadband, and the range if Ignition limits values to it. */
function limits(tag: IgnitionTag, report: Report): Partial<TagKeys> {
  const limitMode = property(tag, 'engLimitMode') ?? 'NoLimit';
  const [low, high] = [Number(property(tag, 'engLow') ?? 0), Number(property(tag, 'engHigh') ?? 100)];
  const deadband = Number(property(tag, 'deadband') ?? 0);
  const mode = property(tag, 'deadbandMode') ?? 'Absolute';
  const isPercent = /^percent$/i.test(mode);
  const isKnown = isPercent || /^(absolute|off)$/i.test(mode);
  if (!isKnown) report(`deadbandMode ${mode}`, 'the mode is unknown', 'set deadband by hand', true);
  const size = isPercent ? ((high - low) * deadband) / 100 : deadband;
  return {
    unit: property(tag, 'engUnit') || undefined,
    range: /^no_?limit$/i.test(limitMode) || !(low < high) ? undefined : [low, high],
    deadband: size > 0 && isKnown && !/^off$/i.test(mode) ? size : undefined,
  };
}

function property({ fields, parameters }: IgnitionTag, name: string): string | undefined {
  return boundText(fields[name], parameters);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? 'no opcItemPath');
}

import { type Signal, useSignal } from '@preact/signals';
import type { JSX, TargetedSubmitEvent } from 'preact';
import { useEffect } from 'preact/hooks';
import { readJson, sendJson } from '../agent/agent-api.ts';
import type { RegisterReading, SourceState } from '../agent/api-types.ts';
import { setQuery } from '../parts/router.ts';
import { useAnswer } from '../parts/use-answer.ts';
import { formatNumber } from '../texts/format.ts';
import { t } from '../texts/language.ts';
import { withEntry } from './document-edit.ts';
import { edit, isEditable, text } from './draft.ts';
import { Problem } from '../parts/problem.tsx';
import { messageOf } from '../agent/message-of.ts';

const REFRESH_MS = 1000;
const kinds = ['holding', 'input', 'coil', 'discrete'] as const;

type Block = { readonly source: string; readonly register: string; readonly address: number; readonly count: number };
type Choice = { readonly address: number; readonly type: string; readonly byteOrder: string };

/** Registers of a device, read over the connection of its source, and what each could mean. */
export function RegistersTab(): JSX.Element {
  const { data } = useAnswer('sources', () =>
    readJson<{ readonly sources: readonly SourceState[] }>('/api/v1/sources'),
  );
  const block = useSignal<Block | undefined>(undefined);
  const registers = useSignal<readonly RegisterReading[]>([]);
  const chosen = useSignal(0);
  const problem = useSignal<string | undefined>(undefined);
  useEffect(() => follow(block.value, registers, problem), [block.value, registers, problem]);
  if (!isEditable.value) return <p class="note">{t('configuration.needsRole')}</p>;
  const sources = (data.value?.sources ?? []).filter(({ type }) => type === 'modbus');
  const read = (next: Block): void => {
    registers.value = [];
    chosen.value = next.address;
    block.value = next;
  };
  const reading = registers.value.find(({ address }) => address === chosen.value);
  return (
    <>
      <RegisterForm sources={sources} onRead={read} />
      <Problem text={problem} />
      {block.value !== undefined && registers.value.length > 0 && (
        <div class="columns registers">
          <RegisterTable
            registers={registers.value}
            chosen={chosen.value}
            onChoose={(address) => (chosen.value = address)}
          />
          {reading !== undefined && <Candidates block={block.value} reading={reading} />}
        </div>
      )}
    </>
  );
}

function RegisterForm({
  sources,
  onRead,
}: {
  readonly sources: readonly SourceState[];
  readonly onRead: (block: Block) => void;
}): JSX.Element {
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>): void => {
    event.preventDefault();
    const form = event.currentTarget;
    const field = (name: string) =>
      form.querySelector<HTMLInputElement | HTMLSelectElement>(`[name=${name}]`)?.value ?? '';
    const [address, count] = [Number(field('address')), Number(field('count'))];
    onRead({ source: field('source'), register: field('register'), address, count });
  };
  return (
    <form class="watch-form" aria-label={t('configuration.registers')} onSubmit={submit}>
      <label>
        {t('configuration.source')}
        <select name="source">
          {sources.map(({ source }) => (
            <option key={source}>{source}</option>
          ))}
        </select>
      </label>
      <label>
        {t('configuration.table')}
        <select name="register">
          {kinds.map((kind) => (
            <option key={kind}>{kind}</option>
          ))}
        </select>
      </label>
      <label>
        {t('configuration.address')}
        <input name="address" type="number" min={0} max={65_535} defaultValue="0" required />
      </label>
      <label>
        {t('configuration.count')}
        <input name="count" type="number" min={1} max={125} defaultValue="16" required />
      </label>
      <button type="submit" disabled={sources.length === 0}>
        {t('configuration.read')}
      </button>
    </form>
  );
}

/** Reads the block again and again until a read fails or the returned function is called. */
function follow(
  block: Block | undefined,
  registers: { value: readonly RegisterReading[] },
  problem: Signal<string | undefined>,
): (() => void) | undefined {
  if (block === undefined) return undefined;
  let isOver = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const { source, ...body } = block;
  const read = async (): Promise<void> => {
    try {
      const path = `/api/v1/sources/${encodeURIComponent(source)}/registers`;
      const answer = await sendJson<{ readonly registers: readonly RegisterReading[] }>(path, body);
      if (isOver) return;
      registers.value = answer.registers;
      problem.value = undefined;
      timer = setTimeout(() => void read(), REFRESH_MS);
    } catch (error) {
      // A device that refuses or is silent is not asked again.
      if (!isOver) problem.value = messageOf(error);
    }
  };
  void read();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

function RegisterTable({
  registers,
  chosen,
  onChoose,
}: {
  readonly registers: readonly RegisterReading[];
  readonly chosen: number;
  readonly onChoose: (address: number) => void;
}): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={t('configuration.registers')}>
      <table id="registers">
        <thead>
          <tr>
            <th scope="col">{t('configuration.address')}</th>
            <th scope="col">hex</th>
            <th scope="col" class="number">
              {t('configuration.value')}
            </th>
          </tr>
        </thead>
        <tbody>
          {registers.map(({ address, raw }) => (
            <tr key={address} data-address={address}>
              <td>
                <button type="button" aria-pressed={address === chosen} onClick={() => onChoose(address)}>
                  {address}
                </button>
              </td>
              <td>
                <code>{raw.toString(16).padStart(4, '0')}</code>
              </td>
              <td class="number">{raw}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Every value that the register could be the start of, each with a button that makes it a tag. */
function Candidates({ block, reading }: { readonly block: Block; readonly reading: RegisterReading }): JSX.Element {
  const name = useSignal('');
  const problem = useSignal<string | undefined>(undefined);
  const isBit = reading.interpretations.length === 0;
  const candidates = isBit ? [{ type: 'bool', byte_order: '', value: reading.raw }] : reading.interpretations;
  const add = ({ address, type, byteOrder }: Choice): void => {
    const tag = name.value.trim();
    const order = byteOrder === '' || byteOrder === 'ABCD' ? {} : { byteOrder };
    const definition = { register: block.register, address, type, ...order };
    try {
      edit(withEntry(text.value, ['sources', block.source, 'tags', tag], definition, 'line'));
      setQuery({ tab: 'file' });
    } catch (error) {
      problem.value = messageOf(error);
    }
  };
  return (
    <section class="panel" aria-label={t('configuration.candidates', { address: reading.address })}>
      <h2>{t('configuration.candidates', { address: reading.address })}</h2>
      <label>
        {t('configuration.tagName')}
        <input value={name} onInput={(event) => (name.value = event.currentTarget.value)} maxLength={128} />
      </label>
      <Problem text={problem} />
      <CandidateTable
        address={reading.address}
        candidates={candidates}
        isNamed={name.value.trim() !== ''}
        onAdd={add}
      />
    </section>
  );
}

function CandidateTable({
  address,
  candidates,
  isNamed,
  onAdd,
}: {
  readonly address: number;
  readonly candidates: RegisterReading['interpretations'];
  readonly isNamed: boolean;
  readonly onAdd: (choice: Choice) => void;
}): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={t('configuration.candidates', { address: address })}>
      <table id="candidates">
        <thead>
          <tr>
            <th scope="col">{t('configuration.type')}</th>
            <th scope="col">{t('configuration.order')}</th>
            <th scope="col" class="number">
              {t('configuration.value')}
            </th>
            <th scope="col">
              <span class="unseen">{t('configuration.addTag')}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {candidates.map(({ type, byte_order, value }) => (
            <tr key={`${type} ${byte_order}`} data-type={`${type} ${byte_order}`.trim()}>
              <td>{type}</td>
              <td>{byte_order}</td>
              <td class="number">{value === null ? '–' : formatNumber(value)}</td>
              <td>
                <button
                  type="button"
                  aria-label={`${t('configuration.addTag')}: ${type} ${byte_order}`}
                  disabled={!isNamed}
                  onClick={() => onAdd({ address, type, byteOrder: byte_order })}
                >
                  {t('configuration.addTag')}
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

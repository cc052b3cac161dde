import type { JSX, TargetedKeyboardEvent } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { health, nowMs } from '../agent/agent-state.ts';
import type { Alarm } from '../agent/api-types.ts';
import { mayOperate } from '../agent/session.ts';
import { isOpen, isUnacknowledged } from '../agent/watch-look.ts';
import { PriorityMark } from '../parts/priority-mark.tsx';
import { reasonText } from '../parts/reason-text.ts';
import { follow, machinePath } from '../parts/router.ts';
import { formatMoment, formatSpan } from '../texts/format.ts';
import { t, word } from '../texts/language.ts';
import { type AlarmAction, selected, toggle } from './alarm-actions.ts';
import { alarmName, alarmReading, alarmText } from '../parts/alarm-text.ts';

type AlarmTableProps = {
  readonly alarms: readonly Alarm[];
  /** Alarm that is selected and gets the focus once it is in the table. */
  readonly linked: string | undefined;
  readonly empty: string;
  /** Called for a key: 'a' acknowledges the selection, 's' shelves it. */
  readonly onAction: (action: AlarmAction) => void;
};

/** Alarms as rows. Arrow keys move, Space selects, A acknowledges, S shelves; the focus stays on its alarm when rows move. */
export function AlarmTable({ alarms, linked, empty, onAction }: AlarmTableProps): JSX.Element {
  const body = useRef<HTMLTableSectionElement>(null);
  const focused = useRef<{ readonly id: string; readonly index: number } | undefined>(undefined);
  const rowAt = (index: number): HTMLElement | null =>
    body.current?.querySelector<HTMLElement>(`tr:nth-child(${Math.min(alarms.length, index + 1)})`) ?? null;
  useLayoutEffect(() => {
    // A row that moved has lost the focus; for one that is gone the next row gets it.
    if (focused.current === undefined || document.activeElement !== document.body) return;
    const { id, index } = focused.current;
    const present = alarms.findIndex(({ alarm }) => alarm === id);
    rowAt(present === -1 ? index : present)?.focus();
  });
  const opened = useRef<string | undefined>(undefined);
  useLayoutEffect(() => {
    const index = alarms.findIndex(({ alarm }) => alarm === linked);
    if (index === -1 || opened.current === linked) return;
    opened.current = linked;
    if (linked !== undefined) selected.value = new Set([linked]);
    // Scrolls to it.
    rowAt(index)?.focus();
  });
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLTableRowElement>, index: number, id: string): void => {
    if (event.target !== event.currentTarget || event.altKey || event.metaKey) return;
    if (event.ctrlKey && event.key !== 'a') return;
    const key = event.ctrlKey ? 'select-all' : event.key;
    const move = { ArrowDown: index + 1, ArrowUp: Math.max(0, index - 1), Home: 0, End: alarms.length - 1 }[key];
    if (move !== undefined) rowAt(move)?.focus();
    else if (key === ' ') toggle(id);
    else if (key === 'select-all') selected.value = new Set(alarms.map(({ alarm }) => alarm));
    else if (key === 'a' || key === 's') {
      if (selected.value.size === 0) selected.value = new Set([id]);
      onAction(key === 'a' ? 'acknowledge' : 'shelve');
    } else return;
    event.preventDefault();
  };
  return (
    <div class="scroll">
      <table id="alarms" class="alarms">
        <thead>
          <HeadRow alarms={alarms} />
        </thead>
        <tbody ref={body}>
          {alarms.map((alarm, index) => (
            <tr
              key={alarm.alarm}
              tabIndex={0}
              data-state={alarm.state}
              data-priority={alarm.priority}
              aria-selected={selected.value.has(alarm.alarm)}
              onFocus={() => (focused.current = { id: alarm.alarm, index })}
              onBlur={(event) => {
                if (event.relatedTarget !== null) focused.current = undefined;
              }}
              onKeyDown={(event) => onKeyDown(event, index, alarm.alarm)}
            >
              <Cells alarm={alarm} />
            </tr>
          ))}
        </tbody>
      </table>
      {alarms.length === 0 && <p class="empty">{empty}</p>}
      {mayOperate.value && alarms.length > 0 && <p class="hint">{t('alarms.keys')}</p>}
    </div>
  );
}

function HeadRow({ alarms }: Pick<AlarmTableProps, 'alarms'>): JSX.Element {
  const isAll = alarms.length > 0 && alarms.every(({ alarm }) => selected.value.has(alarm));
  const selectAll = (isOn: boolean): void => {
    selected.value = new Set(isOn ? alarms.map(({ alarm }) => alarm) : []);
  };
  return (
    <tr>
      {mayOperate.value && (
        <th scope="col">
          <input
            type="checkbox"
            aria-label={t('alarms.selectAll')}
            checked={isAll}
            onChange={(event) => selectAll(event.currentTarget.checked)}
          />
        </th>
      )}
      <th scope="col">
        <span class="unseen">{t('alarms.priority')}</span>
      </th>
      <th scope="col">{t('alarms.state')}</th>
      <th scope="col">{t('alarms.onset')}</th>
      <th scope="col">{t('alarms.alarm')}</th>
      <th scope="col">{t('alarms.cause')}</th>
      <th scope="col">{t('alarms.blame')}</th>
      <th scope="col">{t('alarms.by')}</th>
    </tr>
  );
}

function Cells({ alarm }: { readonly alarm: Alarm }): JSX.Element {
  const { alarm: id, watch, state, priority, cause, present, onset_ms } = alarm;
  const sinceMs = onset_ms ?? alarm.timestamp_ms;
  return (
    <>
      {mayOperate.value && (
        <td>
          <input
            type="checkbox"
            tabIndex={-1}
            aria-label={t('alarms.select', { alarm: id })}
            checked={selected.value.has(id)}
            onChange={() => toggle(id)}
          />
        </td>
      )}
      <td>
        {state === 'normal' ? null : (
          <PriorityMark priority={priority} isFilled={isOpen(alarm) && isUnacknowledged(alarm)} />
        )}
      </td>
      <td class="state">{word('state', state)}</td>
      <td class="onset">
        {formatMoment(sinceMs, nowMs.value)} <small>{formatSpan(nowMs.value - sinceMs)}</small>
      </td>
      <td class="name">
        {watch === null ? (
          <span title={id}>{alarmName(alarm)}</span>
        ) : (
          <a href={machinePath(watch)} onClick={follow} tabIndex={-1}>
            {watch}
          </a>
        )}
      </td>
      <td class="cause">
        {word('cause', cause)}
        <small>{alarmText(alarm)}</small>
        {present !== null && <Present alarm={alarm} present={present} />}
      </td>
      <td class="blame">{alarmReading(alarm)}</td>
      <td class="by">
        <Handling alarm={alarm} />
      </td>
    </>
  );
}

/** The reason now, if it is another one than at the onset. That of a component is in the language of the page. */
function Present({ alarm, present }: { readonly alarm: Alarm; readonly present: string }): JSX.Element | null {
  const { state, change, timestamp_ms, parameters } = alarm;
  const component = health.value?.components.find(({ name }) => alarm.alarm === `diagnostic/${name}`);
  const hasReturned = state === 'returned-unacknowledged' || change === 'returned-to-normal';
  // With the same code only figures differ, such as the number of records that wait.
  if (!hasReturned && component?.reason_code !== undefined && component.reason_code === parameters['reason_code'])
    return null;
  const reason = component === undefined ? present : reasonText(component);
  return (
    <small class="present">
      {hasReturned
        ? t('alarms.returned', { time: formatMoment(timestamp_ms, nowMs.value) })
        : t('alarms.present', { reason })}
    </small>
  );
}

/** Who acted, the comment, and the time that is left on the shelf. */
function Handling({ alarm }: { readonly alarm: Alarm }): JSX.Element {
  const { acknowledged_by, acknowledged_ms, comment, shelved_until_ms, by, state } = alarm;
  return (
    <>
      {acknowledged_by !== null && (
        <span>
          {acknowledged_by} {acknowledged_ms !== null && <small>{formatMoment(acknowledged_ms, nowMs.value)}</small>}
        </span>
      )}
      {state === 'shelved' && acknowledged_by === null && <span>{by}</span>}
      {comment !== null && <q>{comment}</q>}
      {shelved_until_ms !== null && (
        <small>{t('alarms.shelfLeft', { span: formatSpan(shelved_until_ms - nowMs.value) })}</small>
      )}
    </>
  );
}

import type { Alarm, JournalEntry } from '../agent/api-types.ts';
import { formatNumber, formatShare } from '../texts/format.ts';
import { t, word } from '../texts/language.ts';
import { type CodedReason, reasonDetail, reasonText } from './reason-text.ts';

type Parameters = Alarm['parameters'];

/** Returns the name of an alarm for people: that of its watch, the tag with its limit, or the component in trouble. */
export function alarmName({ alarm = '' }: { readonly alarm?: string | undefined }): string {
  const [kind, ...rest] = alarm.split('/');
  if (kind === 'diagnostic') return componentName(rest.join(' '));
  return kind === 'limit' ? rest.join(' ') : rest.join('/');
}

/** Returns the tag that an alarm blamed when it was raised, with its value then; '' for an alarm without one. */
export function alarmReading({ parameters: { tag, value, unit }, state }: Pick<Alarm, 'parameters' | 'state'>): string {
  if (state === 'normal' || typeof tag !== 'string') return '';
  return `${tag} ${typeof value === 'number' ? formatNumber(value) : ''} ${unit ?? ''}`.trim();
}

/** Reason of a component in trouble, with the words of the agent in brackets if they have more. */
function reasonOf({ reason = '', reason_code, ...values }: Parameters): string {
  const coded: CodedReason = {
    reason: String(reason),
    reason_code: reason_code === undefined ? undefined : String(reason_code),
    reason_parameters: Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)])),
  };
  const detail = reasonDetail(coded);
  return detail === '' ? reasonText(coded) : `${reasonText(coded)} (${detail})`;
}

/** @param name Kind and id of a component: `source plc-1`. */
function componentName(name: string): string {
  const [kind = '', ...id] = name.split(' ');
  return [word('component', kind), ...id].join(' ');
}

/**
 * Returns the sentence of an alarm in the language of the page, from its cause and parameters. What has none, such as the records
 * of earlier versions, keeps the sentence of the agent.
 */
export function alarmText({
  cause,
  parameters = {},
  message = '',
}: Pick<Alarm, 'cause' | 'parameters' | 'message'> | JournalEntry): string {
  return textOf(cause, parameters) ?? message;
}

function textOf(cause: string | undefined, parameters: Parameters): string | undefined {
  const { watch, score, threshold, tag, value, limit, level, unit, component } = parameters;
  switch (cause) {
    case 'score-above-threshold':
    case 'score-below-threshold': {
      if (watch === undefined || score === undefined || threshold === undefined) return undefined;
      const values = { watch, score: number(score), threshold: number(threshold) };
      return `${blame(parameters)}${t(`message.${cause}`, values)}`;
    }
    case 'value-above-limit':
    case 'value-below-limit':
    case 'rate-above-limit': {
      if (tag === undefined || value === undefined || limit === undefined || level === undefined) return undefined;
      return t(`message.${cause}`, { tag, level, value: quantity(value, unit), limit: quantity(limit, unit) });
    }
    case 'component-in-trouble':
      return component === undefined
        ? undefined
        : t('message.component-in-trouble', {
            component: componentName(String(component)),
            reason: reasonOf(parameters),
          });
    case 'returned-to-normal':
      return returnText(parameters);
    case undefined:
    default:
      return undefined;
  }
}

function returnText({
  watch,
  score,
  threshold,
  tag,
  value,
  limit,
  level,
  unit,
  component,
}: Parameters): string | undefined {
  if (watch !== undefined && score !== undefined && threshold !== undefined)
    return t('message.score-returned', { watch, score: number(score), threshold: number(threshold) });
  if (tag !== undefined && value !== undefined && limit !== undefined && level !== undefined)
    return t('message.limit-returned', { tag, level, value: quantity(value, unit), limit: quantity(limit, unit) });
  return component === undefined
    ? undefined
    : t('message.component-returned', { component: componentName(String(component)) });
}

/** The tag that the model blames most, with its normal range and its share of the score. */
function blame({ tag, value, unit, share, normal_low, normal_high }: Parameters): string {
  if (tag === undefined) return '';
  const details = [
    ...(normal_low === undefined || normal_high === undefined
      ? []
      : [t('machine.normalRange', { low: number(normal_low), high: number(normal_high), unit: unit ?? '' }).trim()]),
    ...(typeof share === 'number' ? [t('message.share', { share: formatShare(share) })] : []),
  ];
  const reading = value === undefined ? t('message.noValue') : quantity(value, unit);
  return t('message.tag', { tag, reading, details: details.length === 0 ? '' : ` (${details.join('; ')})` });
}

function quantity(value: string | number, unit: string | number | undefined): string {
  return `${number(value)} ${unit ?? ''}`.trim();
}

function number(value: string | number): string {
  return typeof value === 'number' ? formatNumber(value) : value;
}

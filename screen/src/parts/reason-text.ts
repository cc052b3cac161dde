import { t, troubleText, word } from '../texts/language.ts';

/** A reason of the agent, with its code and parameters if it is of a known kind. */
export type CodedReason = {
  readonly reason: string;
  readonly reason_code?: string | undefined;
  readonly reason_parameters?: Readonly<Record<string, string>> | undefined;
};

/** Returns a reason in the language of the page; without a code in the language of the agent. */
export function reasonText({ reason, reason_code, reason_parameters = {} }: CodedReason): string {
  const {
    tag = '',
    age = '',
    quality = '',
    missing = '',
    values = '',
    model = '',
    rows = '',
    length = '',
  } = reason_parameters;
  switch (reason_code) {
    case 'tag-stale':
      return t('reason.tag-stale', { tag, age, quality: word('quality', quality) });
    case 'tag-without-value':
      return t('reason.tag-without-value', { tag, quality: word('quality', quality) });
    case 'window-incomplete':
      return t('reason.window-incomplete', { tag, missing, values });
    case 'new-mode':
      return t('reason.new-mode', { tag, value: reason_parameters['value'] ?? '' });
    case 'window-filling':
      return t('reason.window-filling', { rows, length });
    case 'model-not-ready':
      return t('reason.model-not-ready', { model, reason: reason_parameters['reason'] ?? '' });
    case 'model-incompatible':
      return t('reason.model-incompatible', { model });
    case 'learning':
    case 'superseded':
    case 'rolled-back':
    case 'no-verdict':
      return t(`reason.${reason_code}`);
    case undefined:
      return reason;
    default:
      return troubleText(reason_code) ?? reason;
  }
}

/** Returns the reason of the agent itself if the text of the page has less: addresses and numbers; '' otherwise. */
export function reasonDetail({ reason, reason_code }: CodedReason): string {
  return reason_code !== undefined && troubleText(reason_code) !== undefined ? reason : '';
}

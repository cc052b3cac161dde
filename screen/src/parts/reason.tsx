import type { JSX } from 'preact';
import { type CodedReason, reasonDetail, reasonText } from './reason-text.ts';

/** A reason in the language of the page, and below it the words of the agent if they have more. */
export function Reason({ of }: { readonly of: CodedReason }): JSX.Element {
  const detail = reasonDetail(of);
  return (
    <>
      {reasonText(of)}
      {detail !== '' && (
        <small class="detail" lang="en">
          {detail}
        </small>
      )}
    </>
  );
}

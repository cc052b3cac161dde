import { OperatingError } from '../../platform/errors.ts';

/**
 * Returns the error of a malformed message. The text has the position, the value found and the value expected. Readers of
 * a server's answer replace the code.
 */
export function malformed(message: string): OperatingError {
  return new OperatingError('infer-request-invalid', 'reject', message);
}

/** Returns the error for an extension of the protocol that andon does not have. @param remark The reason, or what to do. */
export function unsupported(what: string, remark = ''): OperatingError {
  const message = `${what} is not supported here${remark === '' ? '' : `: ${remark}`}`;
  return new OperatingError('infer-request-unsupported', 'reject', message);
}

import { OperatingError } from '../../platform/errors.ts';

/**
 * What is not in the protocol's form: where it was found, what stood there and what was expected. As it is, an answer
 * to whoever sent the request; who reads a server's answer gives it a code of its own.
 */
export function malformed(message: string): OperatingError {
  return new OperatingError('infer-request-invalid', 'reject', message);
}

/** An extension of the protocol that andon does not have. @param remark What is so instead, or what to do. */
export function unsupported(what: string, remark = ''): OperatingError {
  const message = `${what} is not supported here${remark === '' ? '' : `: ${remark}`}`;
  return new OperatingError('infer-request-unsupported', 'reject', message);
}

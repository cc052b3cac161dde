import { describe, expect, test } from 'vitest';
import { answerError, type HttpAnswer } from '../../src/uplinks/http/http-answer.ts';
import { parseRetryAfterMs } from '../../src/platform/retry-after.ts';

const nowMs = Date.UTC(2026, 0, 1);

function answer(status: number, more: Partial<HttpAnswer> = {}): HttpAnswer {
  return { status, retryAfter: undefined, location: undefined, text: '', ...more };
}

describe('a response', () => {
  test.each([200, 201, 202, 204, 299])('of %i acknowledges', (status) => {
    expect(answerError(answer(status), [], nowMs)).toBeUndefined();
  });

  test.each([
    [400, 'uplink-refused', 'reject'],
    [404, 'uplink-refused', 'reject'],
    [409, 'uplink-refused', 'reject'],
    [413, 'uplink-batch-too-large', 'reject'],
    [422, 'uplink-refused', 'reject'],
    [401, 'uplink-not-admitted', 'retry'],
    [408, 'uplink-receiver-failed', 'retry'],
    [429, 'uplink-overloaded', 'retry'],
    [301, 'uplink-redirected', 'retry'],
    [304, 'uplink-redirected', 'retry'],
    [500, 'uplink-receiver-failed', 'retry'],
    [503, 'uplink-receiver-failed', 'retry'],
    [101, 'uplink-answer-invalid', 'retry'],
  ])('of %i is %s: %s', (status, code, disposition) => {
    expect(answerError(answer(status), [401], nowMs)).toMatchObject({ code, disposition });
  });

  test('refuses the records unless the configuration lists the status as a fault of the agent', () => {
    expect(answerError(answer(401), [], nowMs)?.disposition).toBe('reject');
  });

  test('puts the text of the receiver into the reason, shortened and on one line', () => {
    const error = answerError(answer(422, { text: `field\n\u0007 "x"${'y'.repeat(5000)}` }), [], nowMs);
    expect(error?.message).toMatch(/^The receiver refused the batch with HTTP 422: field "x"y+$/);
    expect(error?.message.length).toBeLessThan(300);
  });

  test('names the target of a redirect', () => {
    const error = answerError(answer(302, { location: 'http://portal.example/login' }), [], nowMs);
    expect(error?.message).toContain('to http://portal.example/login');
  });
});

describe('Retry-After', () => {
  test.each([
    ['120', 120_000],
    ['0', 0],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Wed, 31 Dec 2025 23:00:00 GMT', 0],
    ['soon', undefined],
    ['-5', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('of %j requests %j ms', (text, expected) => {
    expect(parseRetryAfterMs(text, nowMs)).toBe(expected);
  });
});

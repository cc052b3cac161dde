import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseBundle, preAuthEncoding, signedBundle } from '../../../src/models/signing/bundle.ts';
import { SignatureError } from '../../../src/models/signing/signature-error.ts';
import { parsePublicKey, verifyBytes } from '../../../src/models/signing/signing-key.ts';
import { formatStatement, parseStatement } from '../../../src/models/signing/statement.ts';
import { keyKinds, TestKey } from '../../support/signing-keys.ts';

/*
 * A bundle comes from outside, and its content is trusted once a signature holds. So any bytes are either exactly what
 * this format allows, or refused with a reason. Nothing in between is accepted, and nothing crashes.
 */
const digest = (text: string) => createHash('sha256').update(text).digest('hex');
const files = new Map([
  ['model.onnx', digest('graph')],
  ['model.yaml', digest('manifest')],
]);
const key = new TestKey();
const bytes = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const bundle = () => JSON.parse(signedBundle(formatStatement('pump@1', files), key.key));
const statement = () => JSON.parse(Buffer.from(formatStatement('pump@1', files)).toString());

/** The object with one member replaced, by its path. */
function withMember(root: unknown, path: string, value: unknown): unknown {
  const [step = '', ...rest] = path.split('.');
  const copy = structuredClone(root) as Record<string, unknown>;
  if (rest.length === 0) copy[step] = value;
  else copy[step] = withMember(copy[step], rest.join('.'), value);
  return copy;
}

const fileName = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/);
const fileMap = fc.uniqueArray(fileName, { minLength: 1, maxLength: 100 }).map((names) => {
  return new Map(names.map((name) => [name, digest(name)]));
});

test('the signature of DSSE is made over lengths, type and payload', () => {
  // The example of the protocol's own text.
  const encoded = preAuthEncoding('http://example.com/HelloWorld', Buffer.from('hello world'));
  expect(Buffer.from(encoded).toString()).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world');
});

test('for any files, the signed statement is read back unchanged', () => {
  fc.assert(
    fc.property(fileMap, (signed) => {
      const read = parseBundle(bytes(signedBundle(formatStatement('m@1', signed), key.key)));
      expect(new Map(parseStatement(read.payload))).toEqual(signed);
      const verifying = parsePublicKey(key.publicPem, 'key');
      expect(read.keyId).toBe(key.id);
      expect(verifyBytes(verifying, read.signedBytes, read.signature)).toBe(true);
    }),
    { numRuns: 50 },
  );
});

test('a hundred files with the longest names fit into the bound of a bundle', () => {
  const names = Array.from({ length: 100 }, (_, index) => `${index}`.padStart(100, 'n'));
  const text = signedBundle(formatStatement('m@1', new Map(names.map((name) => [name, digest(name)]))), key.key);
  expect(text.length).toBeLessThan(64_000);
  expect(parseStatement(parseBundle(bytes(text)).payload).size).toBe(100);
});

test.each(keyKinds)('a signature of %s holds for its bytes and its key alone', (kind) => {
  const pair = new TestKey(kind);
  const { signedBytes, signature } = parseBundle(bytes(signedBundle(formatStatement('m@1', files), pair.key)));
  expect(verifyBytes(parsePublicKey(pair.publicPem, 'key'), signedBytes, signature)).toBe(true);
  expect(verifyBytes(parsePublicKey(new TestKey(kind).publicPem, 'key'), signedBytes, signature)).toBe(false);
  for (const at of [0, 20, signedBytes.length - 1]) {
    const other = Uint8Array.from(signedBytes);
    other[at] = (other[at] ?? 0) ^ 1;
    expect(verifyBytes(parsePublicKey(pair.publicPem, 'key'), other, signature)).toBe(false);
  }
});

describe('a bundle is refused', () => {
  test.each<[string, unknown, RegExp]>([
    ['mediaType', 'application/vnd.dev.sigstore.bundle+json;version=0.2', /mediaType/],
    ['verificationMaterial', {}, /publicKey.*not signed with the method `key`/],
    ['verificationMaterial', { certificate: { rawBytes: '' } }, /not signed with the method `key`/],
    ['verificationMaterial.publicKey', {}, /hint/],
    ['verificationMaterial.publicKey.hint', 'A'.repeat(64), /hint.*not the SHA-256/],
    ['dsseEnvelope.payloadType', 'application/json', /payloadType/],
    ['dsseEnvelope.payloadType', 'application/vnd.in-toto+json ', /payloadType/],
    ['dsseEnvelope.payload', '', /payload/],
    ['dsseEnvelope.payload', '{}', /payload.*not base64/],
    ['dsseEnvelope.payload', 'YQ', /payload.*not base64/],
    ['dsseEnvelope.payload', 'YR==', /payload.*not base64/],
    ['dsseEnvelope.payload', 'YQ==\n', /payload.*not base64/],
    ['dsseEnvelope.signatures', [], /exactly one/],
    ['dsseEnvelope.signatures', [{ sig: 'YQ==' }, { sig: 'YQ==' }], /exactly one/],
    ['dsseEnvelope.signatures', [{ keyid: '' }], /sig/],
    ['dsseEnvelope', null, /dsseEnvelope/],
  ])('with %s of %j', (path, value, says) => {
    const wrong = bytes(withMember(bundle(), path, value));
    expect(() => parseBundle(wrong)).toThrow(SignatureError);
    expect(() => parseBundle(wrong)).toThrow(says);
  });

  test.each<[string, Uint8Array]>([
    ['nothing', Buffer.alloc(0)],
    ['a list', bytes([])],
    ['a number', bytes('1')],
    ['half of one', bytes(JSON.stringify(bundle()).slice(0, 200))],
    ['no text', Buffer.from([0xff, 0xfe, 0x00])],
    ['lists in lists without end', bytes('['.repeat(60_000))],
  ])('that is %s', (_, garbage) => {
    expect(() => parseBundle(garbage)).toThrow(SignatureError);
  });
});

describe('a statement is refused', () => {
  const [onnx, yaml] = statement().predicate.resources;
  test.each<[string, unknown, RegExp]>([
    ['_type', 'https://in-toto.io/Statement/v0.1', /_type/],
    ['predicateType', 'https://model_signing/Digests/v0.1', /predicateType/],
    ['predicateType', 'https://slsa.dev/provenance/v1', /predicateType/],
    ['subject', [], /subject/],
    ['subject', [...statement().subject, ...statement().subject], /subject/],
    ['subject', [{ name: 'pump@1', digest: { sha256: digest('other') } }], /subject is not the digest/],
    ['predicate.serialization.method', 'shards', /method/],
    ['predicate.serialization.hash_type', 'blake3', /hash_type/],
    ['predicate.resources', [], /resources/],
    ['predicate.resources', [onnx], /subject is not the digest/],
    ['predicate.resources', [yaml, onnx], /subject is not the digest/],
    ['predicate.resources', [onnx, onnx], /a file twice/],
    ['predicate.resources', [{ ...onnx, algorithm: 'md5' }], /algorithm/],
    ['predicate.resources', [{ ...onnx, digest: onnx.digest.slice(1) }], /not a SHA-256/],
    ['predicate.resources', [{ ...onnx, digest: onnx.digest.toUpperCase() }], /not a SHA-256/],
    ...[
      '..',
      '../model.onnx',
      '/etc/passwd',
      'sub/model.onnx',
      'a\\b',
      '',
      '.gitignore',
      'a\0',
      'ü',
      'a'.repeat(101),
    ].map((name): [string, unknown, RegExp] => ['predicate.resources', [{ ...onnx, name }], /plain name/]),
    ['predicate.resources', Array.from({ length: 101 }, (_, index) => ({ ...onnx, name: `f${index}` })), /resources/],
  ])('with %s of %j', (path, value, says) => {
    const wrong = bytes(withMember(statement(), path, value));
    expect(() => parseStatement(wrong)).toThrow(SignatureError);
    expect(() => parseStatement(wrong)).toThrow(says);
  });

  test('members that the format does not name change nothing', () => {
    const more = { ...statement(), predicate: { ...statement().predicate, card: { author: 'anybody' } } };
    expect(new Map(parseStatement(bytes(more)))).toEqual(files);
  });
});

describe('for any bytes', () => {
  const sound = Buffer.from(signedBundle(formatStatement('pump@1', files), key.key));
  const verifying = parsePublicKey(key.publicPem, 'key');

  test('a bundle is read or refused, and what was changed is never taken for signed', () => {
    const changed = fc.tuple(
      fc.nat(sound.length - 1),
      fc.integer({ min: 0, max: 255 }),
      fc.constantFrom('replace' as const, 'insert' as const, 'cut' as const),
    );
    fc.assert(
      fc.property(changed, ([at, byte, how]) => {
        const tail = sound.subarray(how === 'insert' ? at : at + 1);
        const mutant =
          how === 'cut' ? sound.subarray(0, at) : Buffer.concat([sound.subarray(0, at), Buffer.of(byte), tail]);
        const read = readOrRefused(() => parseBundle(mutant));
        if (read === undefined || !verifyBytes(verifying, read.signedBytes, read.signature)) return;
        expect(new Map(parseStatement(read.payload))).toEqual(files);
      }),
      { numRuns: 3000 },
    );
  });

  test('any JSON is refused', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        expect(readOrRefused(() => parseStatement(bytes(text)))).toBeUndefined();
        expect(readOrRefused(() => parseBundle(bytes(text)))).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });

  test('any member may be of any type', () => {
    const paths = [
      '_type',
      'subject',
      'subject.0',
      'subject.0.digest',
      'predicate',
      'predicate.serialization',
      'predicate.resources',
      'predicate.resources.0',
      'predicate.resources.0.digest',
      'predicate.resources.0.name',
    ];
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue(), (path, value) => {
        const read = readOrRefused(() => parseStatement(bytes(withMember(statement(), path, value))));
        expect(read === undefined || read.size === 2).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});

/** Undefined if it is refused; anything else that is thrown fails the test. */
function readOrRefused<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof SignatureError) return undefined;
    throw error;
  }
}

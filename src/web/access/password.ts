import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { accessFailure } from './access-errors.ts';

const derive = promisify<string, Buffer, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(scrypt);

/** Cost of a guess: 2^15 blocks of 1 kB with r = 8, which take 32 MB and about 0.1 s. */
const COST_LOG2 = 15;
const BLOCK_SIZE = 8;
const PARALLELIZATION = 1;
const SALT_BYTES = 16;
const KEY_BYTES = 32;
/** Each derivation takes 32 MB, and a thread of the pool that file access uses, too. */
const PARALLEL_MAX = 2;
const WAITING_MAX = 20;

/** PHC string format: `$scrypt$ln=15,r=8,p=1$<salt>$<key>`, with 16 and 32 bytes in base64 without padding. */
const HASH_PATTERN = /^\$scrypt\$ln=(1[4-7]),r=8,p=1\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$/;

/** Returns true if the text has the form of a stored password. */
export function isPasswordHash(text: string): boolean {
  return HASH_PATTERN.test(text);
}

/** Returns a password in the form in which it is stored: scrypt with a random salt. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const key = await deriveKey(password, salt, COST_LOG2);
  return phcText(salt, key);
}

/** Compares passwords with stored ones. At most two at a time, so that logins cannot take the memory of the box. */
export class PasswordCheck {
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  /** Stored password of no user: its key is that of no known password. */
  readonly #dummy = phcText(randomBytes(SALT_BYTES), randomBytes(KEY_BYTES));

  /**
   * Returns true if the password is the stored one. Takes the same time without a stored one, so that the time does not
   * tell whether a user exists.
   *
   * @throws {OperatingError} 'login-throttled' (retry) if too many logins wait.
   */
  async matches(password: string, stored: string | undefined): Promise<boolean> {
    await this.#turn();
    try {
      const [, costLog2, salt, key] = HASH_PATTERN.exec(stored ?? this.#dummy) ?? [];
      if (salt === undefined || key === undefined) return false;
      const expected = Buffer.from(key, 'base64');
      const given = await deriveKey(password, Buffer.from(salt, 'base64'), Number(costLog2));
      return expected.length === KEY_BYTES && timingSafeEqual(given, expected) && stored !== undefined;
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  async #turn(): Promise<void> {
    if (this.#running >= PARALLEL_MAX) {
      if (this.#waiting.length >= WAITING_MAX)
        throw accessFailure('login-throttled', 'Too many logins at the same time. Try again in a few seconds');
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#running += 1;
  }
}

function deriveKey(password: string, salt: Buffer, costLog2: number): Promise<Buffer> {
  const N = 2 ** costLog2;
  // scrypt needs 128 * N * r bytes; the default limit of Node is exactly that for 2^14.
  const options = { N, r: BLOCK_SIZE, p: PARALLELIZATION, maxmem: 256 * N * BLOCK_SIZE };
  return derive(password.normalize('NFC'), salt, KEY_BYTES, options);
}

function phcText(salt: Buffer, key: Buffer): string {
  return `$scrypt$ln=${COST_LOG2},r=${BLOCK_SIZE},p=${PARALLELIZATION}$${unpadded(salt)}$${unpadded(key)}`;
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}

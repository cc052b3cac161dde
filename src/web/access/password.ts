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

/** PHC string format: `$scrypt$ln=15,r=8,p=1$<salt>$<key>`, in base64 without padding. */
const HASH_PATTERN = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;
const COST_LOG2_MAX = 17;

/** Returns true if the text has the form of a stored password. */
export function isPasswordHash(text: string): boolean {
  const [, cost] = HASH_PATTERN.exec(text) ?? [];
  return cost !== undefined && Number(cost) <= COST_LOG2_MAX;
}

/** Returns a password in the form in which it is stored: scrypt with a random salt. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const key = await deriveKey(password, salt, { ln: COST_LOG2, r: BLOCK_SIZE, p: PARALLELIZATION, bytes: KEY_BYTES });
  return `$scrypt$ln=${COST_LOG2},r=${BLOCK_SIZE},p=${PARALLELIZATION}$${unpadded(salt)}$${unpadded(key)}`;
}

/** Compares passwords with stored ones. At most two at a time, so that logins cannot take the memory of the box. */
export class PasswordCheck {
  #running = 0;
  readonly #waiting: (() => void)[] = [];
  /** Stored password of no user. */
  readonly #dummy: Promise<string> = hashPassword(randomBytes(SALT_BYTES).toString('hex'));

  /**
   * Returns true if the password is the stored one. Takes the same time without a stored one, so that the time does not
   * tell whether a user exists.
   *
   * @throws {OperatingError} 'login-throttled' (retry) if too many logins wait.
   */
  async matches(password: string, stored: string | undefined): Promise<boolean> {
    await this.#turn();
    try {
      const [, ln, r, p, salt, key] = HASH_PATTERN.exec(stored ?? (await this.#dummy)) ?? [];
      if (salt === undefined || key === undefined) return false;
      const expected = Buffer.from(key, 'base64');
      const costs = { ln: Number(ln), r: Number(r), p: Number(p), bytes: expected.length };
      const given = await deriveKey(password, Buffer.from(salt, 'base64'), costs);
      return timingSafeEqual(given, expected) && stored !== undefined;
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

type Costs = { readonly ln: number; readonly r: number; readonly p: number; readonly bytes: number };

function deriveKey(password: string, salt: Buffer, { ln, r, p, bytes }: Costs): Promise<Buffer> {
  const N = 2 ** ln;
  // scrypt needs 128 * N * r bytes; the default limit of Node is exactly that for 2^14.
  return derive(password.normalize('NFC'), salt, bytes, { N, r, p, maxmem: 256 * N * r });
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}

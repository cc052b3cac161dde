import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import * as tar from 'tar';
import { OperatingError } from '../platform/errors.ts';

/*
 * A backup is a .tar.gz. Encrypted: MAGIC, salt, nonce, AES-256-GCM of the .tar.gz, tag. The key is scrypt of the passphrase.
 */
const MAGIC = Buffer.from('andonbk1');
const [SALT_BYTES, NONCE_BYTES, TAG_BYTES] = [16, 12, 16];
const HEADER_BYTES = MAGIC.length + SALT_BYTES + NONCE_BYTES;

/** Packs a folder. The file is on disk when this returns, readable by its owner only. @param passphrase Undefined leaves it unencrypted. */
export async function packFolder(folder: string, file: string, passphrase: string | undefined): Promise<void> {
  // Links lead to the model directory, which is not copied.
  const archive = tar.create({ gzip: true, cwd: folder, portable: true, follow: true }, ['.']);
  const target = createWriteStream(file, { mode: 0o600, flags: 'wx', flush: true });
  if (passphrase === undefined) return pipeline(archive, target);
  const [salt, nonce] = [randomBytes(SALT_BYTES), randomBytes(NONCE_BYTES)];
  const cipher = createCipheriv('aes-256-gcm', keyOf(passphrase, salt), nonce);
  target.write(Buffer.concat([MAGIC, salt, nonce]));
  await pipeline(
    archive,
    cipher,
    async function* withTag(encrypted: AsyncIterable<Buffer>) {
      yield* encrypted;
      yield cipher.getAuthTag();
    },
    target,
  );
}

/**
 * Unpacks a backup into an empty folder. Only files and folders are created, and none outside.
 *
 * @throws {OperatingError} 'backup-passphrase' (reject) if it is encrypted and the passphrase is missing or wrong, or the file
 *   was changed; 'backup-unreadable' (reject) if it is not a backup.
 */
export async function unpackBackup(file: string, folder: string, passphrase: string | undefined): Promise<void> {
  const archive = (await isEncrypted(file)) ? await decrypted(file, `${folder}.tar.gz`, passphrase) : file;
  try {
    await tar.extract({
      file: archive,
      cwd: folder,
      strict: true,
      filter: (_, entry) => 'type' in entry && (entry.type === 'File' || entry.type === 'Directory'),
    });
  } catch (error) {
    throw new OperatingError('backup-unreadable', 'reject', `${file} is not a backup of andon, or it is damaged`, {
      cause: error,
    });
  }
}

async function isEncrypted(file: string): Promise<boolean> {
  await using handle = await open(file, 'r');
  const { buffer } = await handle.read(Buffer.alloc(MAGIC.length), 0, MAGIC.length, 0);
  return buffer.equals(MAGIC);
}

/** Nothing is unpacked before the tag has proved the whole file. @returns Path of the decrypted file. */
async function decrypted(file: string, target: string, passphrase: string | undefined): Promise<string> {
  if (passphrase === undefined)
    throw new OperatingError('backup-passphrase', 'reject', `${file} is encrypted. Give its passphrase`);
  const { size } = await stat(file);
  const dataEnd = size - TAG_BYTES;
  const [header, tag] = await readEnds(file, dataEnd);
  const salt = header.subarray(MAGIC.length, MAGIC.length + SALT_BYTES);
  const decipher = createDecipheriv(
    'aes-256-gcm',
    keyOf(passphrase, salt),
    header.subarray(HEADER_BYTES - NONCE_BYTES),
  );
  decipher.setAuthTag(tag);
  try {
    const data = createReadStream(file, { start: HEADER_BYTES, end: dataEnd - 1 });
    await pipeline(data, decipher, createWriteStream(target, { mode: 0o600 }));
    return target;
  } catch (error) {
    const message = `${file} cannot be decrypted: the passphrase is wrong, or the file was changed or cut`;
    throw new OperatingError('backup-passphrase', 'reject', message, { cause: error });
  }
}

async function readEnds(file: string, dataEnd: number): Promise<readonly [Buffer, Buffer]> {
  if (dataEnd <= HEADER_BYTES) throw new OperatingError('backup-unreadable', 'reject', `${file} was cut`);
  await using handle = await open(file, 'r');
  const header = await handle.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
  const tag = await handle.read(Buffer.alloc(TAG_BYTES), 0, TAG_BYTES, dataEnd);
  return [header.buffer, tag.buffer];
}

function keyOf(passphrase: string, salt: Buffer): Buffer {
  return scryptSync(passphrase, salt, 32, { N: 2 ** 15, r: 8, p: 1, maxmem: 2 ** 26 });
}

/**
 * A segment that is finished, compressed: a gzip file, so that `zcat` reads it. gzip's own checksum covers what was
 * compressed and leaves out its header and the few bits that fill up the last byte; so the header is always the same, and
 * its comment is the CRC of all that follows. Thus a flipped bit is found wherever it is.
 *
 *     10 bytes header, the same in all · 8 hex digits, zero · deflated bytes, their CRC and length (gzip's trailer)
 */
import { gunzipSync, gzipSync } from 'node:zlib';
import { DamagedBackupError } from './errors.ts';
import { hexCrc } from './hex-crc.ts';

const plainHeaderBytes = 10;
/** gzip, deflate, "a comment follows", no time, no hint about the effort, made on a system unknown. */
const header = Buffer.from([0x1f, 0x8b, 8, 0x10, 0, 0, 0, 0, 0, 0xff]);
const bodyAt = header.length + 9;

/** Bytes that a segment may have when it is unpacked. Damage must not make a reader take all memory. */
export const unsealedBytesMax = 1 << 30;

export function seal(bytes: Buffer): Buffer {
  const body = gzipSync(bytes).subarray(plainHeaderBytes);
  return Buffer.concat([header, Buffer.from(`${hexCrc(body)}\0`, 'latin1'), body]);
}

/** Does this look like something that was sealed? No plain segment begins with these bytes. */
export function isSealed(bytes: Buffer): boolean {
  return bytes[0] === header[0] && bytes[1] === header[1];
}

/** `name`: the object, for the error. @throws DamagedBackupError */
export function unseal(bytes: Buffer, name: string): Buffer {
  const body = bytes.subarray(bodyAt);
  if (!bytes.subarray(0, header.length).equals(header)) {
    throw new DamagedBackupError(name, 'does not begin as a sealed segment of Fermata does');
  }
  if (bytes.toString('latin1', header.length, bodyAt) !== `${hexCrc(body)}\0`) {
    throw new DamagedBackupError(name, 'does not fit its own checksum');
  }
  try {
    return gunzipSync(bytes, { maxOutputLength: unsealedBytesMax });
  } catch (error) {
    throw new DamagedBackupError(name, 'cannot be unpacked', { cause: error });
  }
}

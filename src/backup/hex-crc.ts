import { crc32 } from 'node:zlib';

/** CRC-32 as eight hex digits, the way that logs and manifests write it. */
export function hexCrc(data: string | Uint8Array): string {
  return crc32(data).toString(16).padStart(8, '0');
}

/**
 * Where the admin socket of a data directory lies: the same answer for the server and for who asks it.
 *
 * The kernel takes paths of about a hundred bytes for a socket. Of a longer one the socket lies in the temporary directory
 * under a name made from the data directory's real path.
 */
import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Linux takes 107, macOS 103. */
const pathBytesMax = 100;

/** @throws Error when the data directory does not exist */
export function adminSocketPath(dataDir: string): string {
  const directory = realpathSync(dataDir);
  const path = join(directory, 'admin.sock');
  if (Buffer.byteLength(path) <= pathBytesMax) return path;
  const hash = createHash('sha256').update(directory).digest('hex').slice(0, 32);
  return join(tmpdir(), `fermata-${hash}.sock`);
}

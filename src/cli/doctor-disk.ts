/**
 * Is the data directory's disk fit for a journal that is fsynced before every reply? Looks at the place where the
 * directory lies or would be made, and leaves nothing behind.
 */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fail, ok, reason, warn, type Finding } from './doctor-finding.ts';
import { readableBytes } from './readable.ts';

const freeBytesMin = 100 * 1024 * 1024;
const freeBytesGood = 1024 * 1024 * 1024;
/** A commit waits for one fsync: at 10 ms a lone caller gets 100 calls per second at most. */
const fsyncMsGood = 2;
const fsyncMsSlow = 10;
const fsyncRounds = 50;

const networkTypes = new Set([
  'nfs',
  'nfs4',
  'cifs',
  'smb3',
  'smbfs',
  'ncpfs',
  'afs',
  'ceph',
  'lustre',
  'glusterfs',
  '9p',
  'beegfs',
]);
const networkFuseTypes = /^fuse\.(sshfs|s3fs|rclone|glusterfs|ceph|goofys|gcsfuse|mount-s3|davfs)/;

export function diskFindings(dataDir: string): Finding[] {
  const path = resolve(dataDir);
  const place = nearestExisting(path);
  if (!statSync(place).isDirectory())
    return [fail('data directory', `${place} is a file`, 'Choose another with --data-dir or DATA_DIR.')];
  const writable = writability(path, place);
  const findings = [writable, fileSystem(place), freeSpace(place)];
  return writable.status === 'fail' ? findings : [...findings, syncTime(place)];
}

/** The folder itself, or the closest one above it that exists. */
export function nearestExisting(path: string): string {
  let place = path;
  while (!existsSync(place)) place = dirname(place);
  return place;
}

function writability(path: string, place: string): Finding {
  try {
    accessSync(place, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    const hint = 'Make it belong to the user that runs fermata, or choose another with --data-dir or DATA_DIR.';
    return fail('data directory', `${place} is not writable for this user`, hint);
  }
  return ok('data directory', place === path ? `${path} is writable` : `${path} does not exist yet and can be made`);
}

function fileSystem(place: string): Finding {
  const check = 'file system';
  let mounts: string;
  try {
    mounts = readFileSync('/proc/mounts', 'utf8');
  } catch {
    return ok(check, `not looked at on ${process.platform}; it must be a local disk`);
  }
  return judgeFileSystem(fileSystemType(mounts, realpathSync(place)));
}

/** Type of the file system that holds a path, from the text of /proc/mounts. */
export function fileSystemType(mounts: string, path: string): string | undefined {
  let longest = '';
  let found: string | undefined;
  for (const line of mounts.split('\n')) {
    const [, escaped = '', type] = line.split(' ');
    const point = escaped.replace(/\\([0-7]{3})/g, (_, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 8)),
    );
    const holds = point === '/' || path === point || path.startsWith(`${point}/`);
    // Of two mounts on one point the later hides the earlier.
    if (point === '' || !holds || point.length < longest.length) continue;
    longest = point;
    found = type;
  }
  return found;
}

export function judgeFileSystem(type: string | undefined): Finding {
  const check = 'file system';
  if (type === undefined) return warn(check, 'its type is unknown', 'Make sure that it is a local disk.');
  if (networkTypes.has(type) || networkFuseTypes.test(type)) {
    return fail(
      check,
      `${type} is a network file system`,
      'SQLite needs the locks and fsync of a local disk: move the data directory to one.',
    );
  }
  if (type === 'tmpfs' || type === 'ramfs') {
    return warn(
      check,
      `${type} lies in memory`,
      'Everything is gone after a restart of the machine: use a disk for data that matters.',
    );
  }
  if (type === 'overlay') {
    return warn(
      check,
      'overlay is the layer of a container',
      'It is gone with the container: mount a volume for the data directory.',
    );
  }
  return ok(check, type);
}

function freeSpace(place: string): Finding {
  const { bavail, bsize } = statfsSync(place);
  return judgeFreeSpace(bavail * bsize);
}

export function judgeFreeSpace(bytes: number): Finding {
  const check = 'free space';
  const hint = 'Make room, or choose another place with --data-dir. On a full disk calls are refused, never lost.';
  if (bytes < freeBytesMin) return fail(check, `only ${readableBytes(bytes)}`, hint);
  if (bytes < freeBytesGood) return warn(check, `only ${readableBytes(bytes)}`, hint);
  return ok(check, readableBytes(bytes));
}

function syncTime(place: string): Finding {
  try {
    return judgeSyncTime(medianSyncMs(place));
  } catch (error) {
    return fail(
      'fsync',
      `writing a test file failed: ${reason(error)}`,
      'The server would fail in the same way: look at the disk.',
    );
  }
}

export function judgeSyncTime(ms: number): Finding {
  const check = 'fsync';
  const message = `${ms.toFixed(2)} ms (median of ${fsyncRounds} writes of 4 KiB)`;
  const hint =
    'Every acknowledged call waits for one: a local SSD takes less than 2 ms. Calls at the same time share it.';
  if (ms > fsyncMsSlow) return warn(check, `slow: ${message}`, hint);
  if (ms > fsyncMsGood) return warn(check, `middling: ${message}`, hint);
  return ok(check, message);
}

function medianSyncMs(place: string): number {
  const folder = mkdtempSync(join(place, '.fermata-doctor-'));
  const times: number[] = [];
  try {
    const file = openSync(join(folder, 'probe'), 'w');
    const block = Buffer.alloc(4096, 1);
    for (let round = 0; round < fsyncRounds; round++) {
      const before = performance.now();
      writeSync(file, block);
      fsyncSync(file);
      times.push(performance.now() - before);
    }
    closeSync(file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
}

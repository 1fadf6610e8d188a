/** What is to be known of a folder that data or backups lie in, and whether it is fit for them. */
import { accessSync, constants, readFileSync, realpathSync, statfsSync, statSync } from 'node:fs';
import { isAbsolute, relative, resolve } from 'node:path';
import { judgeFileSystem, nearestExisting } from './doctor-disk.ts';
import { fail, ok, warn, type Finding } from './doctor-finding.ts';
import { mountOf, type Mount } from './doctor-mounts.ts';
import { grouped } from './readable.ts';

export interface FolderFacts {
  /** As it was configured. */
  readonly given: string;
  /** Absolute. */
  readonly path: string;
  readonly kind: 'folder' | 'missing' | 'other';
  /** The following are of the folder or, when it is missing, of the closest one above it. */
  readonly uid: number;
  readonly mode: number;
  readonly writable: boolean;
  /** Number of its file system. */
  readonly device: number;
  /** Undefined where the system does not tell. */
  readonly mount: Mount | undefined;
  readonly inodes: { readonly free: number; readonly total: number };
}

export function lookAtFolder(given: string): FolderFacts {
  const path = resolve(given);
  const place = nearestExisting(path);
  const stats = statSync(place);
  const { ffree, files } = statfsSync(place);
  return {
    given,
    path,
    kind: place !== path ? 'missing' : stats.isDirectory() ? 'folder' : 'other',
    uid: stats.uid,
    mode: stats.mode & 0o7777,
    writable: canWrite(place),
    device: stats.dev,
    mount: mountAt(realpathSync(place)),
    inodes: { free: ffree, total: files },
  };
}

function canWrite(place: string): boolean {
  try {
    accessSync(place, constants.R_OK | constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function mountAt(path: string): Mount | undefined {
  try {
    return mountOf(readFileSync('/proc/self/mountinfo', 'utf8'), path);
  } catch {
    return undefined;
  }
}

export function judgeDataDirectory({ given, path, kind, writable }: FolderFacts): Finding {
  const check = 'data directory';
  if (!isAbsolute(given))
    return fail(
      check,
      `${given} is another place for every folder that it is started in`,
      'Set DATA_DIR to an absolute path, such as /var/lib/fermata.',
    );
  if (kind === 'other') return fail(check, `${path} is no folder`, 'Choose another with DATA_DIR.');
  if (!writable)
    return fail(check, `${path} cannot be written by this user`, 'chown it to the user that runs fermata.');
  if (kind === 'missing')
    return warn(check, `${path} does not exist`, 'The server would make it: is the volume mounted that is meant?');
  return ok(check, path);
}

/** In a container nobody else is there to come in, and Kubernetes opens the root of a volume to its group. */
export function judgeDataOwner(
  { path, kind, uid, mode }: FolderFacts,
  ownUid: number | undefined,
  inContainer: boolean,
): Finding {
  const check = 'data owner';
  if (kind !== 'folder') return warn(check, 'there is no folder yet', 'The server makes it for its own user, 0700.');
  const octal = mode.toString(8).padStart(4, '0');
  if ((mode & 0o007) !== 0) {
    const message = `every user ${inContainer ? 'that can see it' : 'of this machine'} may come in (${octal})`;
    if (!inContainer || (mode & 0o002) !== 0) return fail(check, message, `chmod 0700 ${path}`);
    return warn(check, message, `chmod 0700 ${path}, or name a folder in it: the server makes it so.`);
  }
  if (ownUid !== undefined && uid !== ownUid)
    return warn(
      check,
      `it belongs to user ${uid}, and this is ${ownUid}`,
      `Run this as the user that serves. If that is this one: chown ${ownUid} ${path} (a volume's group in Kubernetes is enough).`,
    );
  if ((mode & 0o070) !== 0)
    return warn(check, `its group may come in (${octal})`, `chmod 0700 ${path}, unless the volume needs its group.`);
  return ok(check, `user ${uid}, ${octal}`);
}

/** Stricter than the plain doctor: what may be lost is no place for the data of real users. */
export function judgeDataFileSystem(mount: Mount | undefined): Finding {
  const check = 'file system';
  if (mount?.readOnly === true) return fail(check, `${mount.type}, mounted read-only`, 'Mount it for writing.');
  const finding = judgeFileSystem(mount?.type);
  return mount !== undefined && finding.status === 'warn' ? { ...finding, status: 'fail' } : finding;
}

const inodesMin = 10_000;

/** A tenant takes a folder and four files. */
export function judgeInodes({ free, total }: FolderFacts['inodes']): Finding {
  const check = 'inodes';
  if (total === 0) return ok(check, 'this file system makes them as it needs them');
  if (free >= inodesMin && free * 20 >= total) return ok(check, `${grouped(free)} free`);
  const hint = 'Every tenant takes a folder and four files: remove small files, or take a file system with more.';
  const message = `only ${grouped(free)} of ${grouped(total)} free`;
  return free < inodesMin ? fail(check, message, hint) : warn(check, message, hint);
}

/** Backups are for the day on which the data's disk is gone. */
export function judgeBackupFolder(backups: FolderFacts, data: FolderFacts): Finding {
  const check = 'backup folder';
  if (!isAbsolute(backups.given)) return fail(check, `${backups.given} is no absolute path`, 'Set BACKUP_DIR to one.');
  if (!relative(data.path, backups.path).startsWith('..'))
    return fail(
      check,
      `${backups.path} lies in the data directory and goes with it`,
      'Set BACKUP_DIR to a folder on another disk.',
    );
  if (backups.kind === 'other') return fail(check, `${backups.path} is no folder`, 'Choose another with BACKUP_DIR.');
  const { mount } = backups;
  if (!backups.writable || mount?.readOnly === true)
    return fail(
      check,
      `${backups.path} cannot be written by this user`,
      'chown it to the user that runs fermata, or mount it for writing.',
    );
  if (mount !== undefined && ['tmpfs', 'ramfs', 'overlay'].includes(mount.type))
    return fail(check, `${backups.path} lies on ${mount.type}, which does not last`, 'Mount a volume for BACKUP_DIR.');
  if (isSameDisk(backups, data))
    return warn(
      check,
      `${backups.path} is on the file system of the data`,
      'One broken disk takes both: put it on another, better on another machine, or copy it there.',
    );
  if (backups.kind === 'missing')
    return warn(
      check,
      `${backups.path} does not exist`,
      'The server would make it: is the volume mounted that is meant?',
    );
  if ((backups.mode & 0o007) !== 0)
    return warn(check, `every user of this machine may look into ${backups.path}`, `chmod 0700 ${backups.path}`);
  return ok(check, `${backups.path}${mount === undefined ? '' : `, ${mount.type}`}, not the file system of the data`);
}

/** Subvolumes and bind mounts have numbers of their own, and one device. */
function isSameDisk(one: FolderFacts, other: FolderFacts): boolean {
  if (one.device === other.device) return true;
  const source = one.mount?.source ?? '';
  return source.startsWith('/') && source === other.mount?.source;
}

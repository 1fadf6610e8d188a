/**
 * Is this file a base that a tenant could be served from? It is tried: a copy is put into a data directory of its own, made
 * just for that, and opened as a server opens it.
 *
 *     SHA-256 and length ─▶ format, owner ─▶ integrity_check ─▶ CRC of every row ─▶ every actor through a keeper, state parsed
 *
 * Invariants: the file itself is only read, and what is hashed is the copy that is checked · the copy is gone afterwards,
 * whatever was found · blocks its thread, so that a server does it in a thread for that (verify-pool.ts).
 */
import { chmodSync, constants, copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { systemClock } from '../host/clock.ts';
import { createLog } from '../host/log.ts';
import { AppError } from '../protocol/errors.ts';
import { defaultLimits } from '../protocol/limits.ts';
import { checkTenantFile, tenantFileVersion } from '../storage/check-tenant-file.ts';
import { DamagedActorError } from '../storage/damaged-actor.ts';
import { KeeperCore } from '../storage/keeper.ts';
import { NewerFileError } from '../storage/migrations.ts';
import { refuseForeign, tenantDirectory } from '../storage/paths.ts';
import { isDamage } from '../storage/sqlite.ts';
import { TenantFile } from '../storage/tenant-file.ts';
import { type Digest, digestSync } from './digest.ts';
import { DamagedBackupError, RestoreRefusal } from './errors.ts';
import type { Manifest } from './manifest.ts';

export interface BaseFacts extends Digest {
  /** Number of commits that the file has seen. */
  readonly sequence: number;
  /** Rows by table. */
  readonly rows: Readonly<Record<string, number>>;
  /** Actors that were loaded: all that are not closed off. */
  readonly actors: number;
  /** Of the file's format, as it was found. */
  readonly fileVersion: number;
}

/**
 * `manifest`: what the file must agree with. `name`: what it is called in errors.
 * @throws DamagedBackupError naming what fails, RestoreRefusal when it is of a newer version
 */
export function verifyBase(path: string, tenant: string, manifest?: Manifest, name = path): BaseFacts {
  refuseForeign(path, 'file');
  const dataDir = mkdtempSync(join(tmpdir(), 'fermata-verify-'));
  try {
    const copy = join(tenantDirectory(dataDir, tenant), 'tenant.db');
    mkdirSync(dirname(copy), { recursive: true, mode: 0o700 });
    copyFileSync(path, copy, constants.COPYFILE_FICLONE);
    chmodSync(copy, 0o600);
    const found = digestSync(copy);
    if (manifest !== undefined) checkDigest(found, manifest, tenant, name);
    const facts = { ...found, ...checkContent(dataDir, tenant, copy, name) };
    if (manifest !== undefined) checkFacts(facts, manifest, name);
    return facts;
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** @throws DamagedBackupError */
export function checkDigest({ sha256, bytes }: Digest, manifest: Manifest, tenant: string, name: string): void {
  if (manifest.tenant !== tenant)
    throw new DamagedBackupError(name, `is a base of tenant "${manifest.tenant}" by its manifest, not of "${tenant}"`);
  if (bytes !== manifest.bytes)
    throw new DamagedBackupError(name, `has ${bytes} bytes, and ${manifest.bytes} by its manifest`);
  if (sha256 !== manifest.sha256) throw new DamagedBackupError(name, 'has another SHA-256 than its manifest says');
}

function checkContent(dataDir: string, tenant: string, copy: string, name: string): Omit<BaseFacts, keyof Digest> {
  try {
    const fileVersion = tenantFileVersion(copy);
    const file = TenantFile.open(dataDir, tenant, { create: false, nowMs: systemClock.now(), boot: 'verify' })!;
    try {
      const rows = checkTenantFile(file);
      const names = file.names().filter(({ type, id }) => file.closed.reason(type, id) === undefined);
      const { writes: sequence } = file;
      loadAll(dataDir, tenant, names);
      return { sequence, rows, actors: names.length, fileVersion };
    } finally {
      file.close();
    }
  } catch (error) {
    const text = (error instanceof Error ? error.message : String(error)).replaceAll(copy, name);
    if (error instanceof NewerFileError) throw new RestoreRefusal(text, undefined, { cause: error });
    if (!isDamage(error) && !(error instanceof DamagedActorError) && !(error instanceof LoadError)) throw error;
    throw new DamagedBackupError(name, `fails its check: ${text}`, { cause: error });
  }
}

/** What a shard does with an actor before its first call. */
function loadAll(dataDir: string, tenant: string, names: readonly { type: string; id: string }[]): void {
  const core = new KeeperCore({
    dataDir,
    limits: defaultLimits,
    log: createLog({ level: 'silent', pretty: false }, 'verify'),
    clock: systemClock,
    boot: 'verify',
  });
  try {
    for (const { type, id } of names) {
      try {
        const { state } = core.load({ tenant, type, id });
        if (state !== undefined) JSON.parse(state);
      } catch (error) {
        if (!(error instanceof AppError) && !(error instanceof SyntaxError)) throw error;
        throw new LoadError(`actor ${type}/${id} cannot be loaded: ${error.message}`, { cause: error });
      }
    }
  } finally {
    core.close();
  }
}

class LoadError extends Error {
  override readonly name = 'LoadError';
}

function checkFacts({ sequence, rows, fileVersion }: BaseFacts, manifest: Manifest, name: string): void {
  const compare = (what: string, found: number | undefined, said: number): void => {
    if (found !== said) throw new DamagedBackupError(name, `has ${found ?? 'no'} ${what}, and ${said} by its manifest`);
  };
  compare('commits', sequence, manifest.sequence);
  compare('as the version of its format', fileVersion, manifest.versions.file);
  for (const [table, count] of Object.entries(manifest.rows)) compare(`rows in ${table}`, rows[table], count);
}

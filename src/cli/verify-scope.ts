/**
 * What a person means by the path of a file or folder among backups: the folder that holds them all, and which names in it.
 */
import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isTenant } from '../protocol/address.ts';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-codes.ts';

export interface VerifyScope {
  /** The folder of backups. */
  readonly root: string;
  /** Undefined: all. */
  readonly tenant: string | undefined;
  /** Names that are meant begin with it; a base and its manifest are meant together. */
  readonly prefix: string;
}

/** @throws CommandError when there is nothing of that kind */
export function verifyScope(path: string, tenant: string | undefined): VerifyScope {
  const scope = scopeOf(path);
  if (tenant === undefined || tenant === scope.tenant) return scope;
  if (scope.tenant === undefined) return { ...scope, tenant, prefix: `${tenant}/` };
  throw new CommandError(`${path} is of tenant ${scope.tenant}, not of ${tenant}`, {
    exitCode: exitCodes.usage,
    hint: 'Leave --tenant out, or name the folder that holds all tenants.',
  });
}

function scopeOf(path: string): VerifyScope {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined)
    throw new CommandError(`there is nothing at ${path} to verify`, {
      exitCode: exitCodes.failed,
      hint: 'Name a folder of backups, or BACKUP_DIR. Make a backup with: fermata backup',
    });
  const [tenantFolder, kind] = [dirname(dirname(path)), basename(dirname(path))];
  const object = /^(?:base\/\d{8}T\d{9}Z(?=\.(?:db|json)$)|log\/\d{8}\.log(?=(?:\.gz)?$))/.exec(
    `${kind}/${basename(path)}`,
  );
  if (stats.isFile() && object !== null && isTenant(basename(tenantFolder))) return scopeIn(tenantFolder, object[0]);
  if (!stats.isDirectory())
    throw new CommandError(`${path} is neither a base, a manifest nor a segment of a log`, {
      exitCode: exitCodes.usage,
      hint: 'Objects are known by their place: <tenant>/base/<time>.db, <tenant>/log/<number>.log in a folder of backups.',
    });
  if (/^(base|log)$/.test(basename(path)) && holdsNoFolder(path) && isTenant(basename(dirname(path))))
    return scopeIn(dirname(path), `${basename(path)}/`);
  return holdsTenant(path) ? scopeIn(path, '') : { root: path, tenant: undefined, prefix: '' };
}

function scopeIn(tenantFolder: string, object: string): VerifyScope {
  const tenant = basename(tenantFolder);
  return { root: dirname(tenantFolder), tenant, prefix: `${tenant}/${object}` };
}

/** A tenant may itself be called `base` or `log`: then these hold folders of their own, and no objects. */
function holdsTenant(path: string): boolean {
  return isTenant(basename(path)) && ['base', 'log'].some((name) => holdsNoFolder(join(path, name)));
}

function holdsNoFolder(path: string): boolean {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return false;
  return readdirSync(path, { withFileTypes: true }).every((entry) => !entry.isDirectory());
}

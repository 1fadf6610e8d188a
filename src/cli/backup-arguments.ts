/** What the commands about backups have in common on their command lines: a tenant, a folder, and words for what goes wrong. */
import { resolve } from 'node:path';
import type { LoadedConfig } from '../host/config-load.ts';
import { isTenant } from '../protocol/address.ts';
import { CommandError } from './command-error.ts';
import { flagValue, type Flag, type Invocation } from './command.ts';
import { exitCodes } from './exit-codes.ts';

export const tenantFlag: Flag = { name: '--tenant', value: '<tenant>', help: 'Only this one. [all]' };
export const jsonFlag: Flag = { name: '--json', value: undefined, help: 'One JSON object instead of text.' };

/** The tenant that a flag names; undefined when it was not given. @throws CommandError */
export function tenantGiven(invocation: Invocation, flag: string): string | undefined {
  const tenant = flagValue(invocation, flag);
  const isName: boolean = isTenant(tenant);
  if (tenant === undefined || isName) return tenant;
  throw new CommandError(`${flag}: "${tenant}" is no tenant`, {
    exitCode: exitCodes.usage,
    hint: 'Lower-case letters, digits, _ and -, beginning with a letter or digit, at most 63 characters.',
  });
}

/** The folder that a flag names, else the one that is configured; undefined when neither says anything. */
export function folderGiven(
  invocation: Invocation,
  flag: string,
  { config, origins }: LoadedConfig,
): string | undefined {
  const folder = flagValue(invocation, flag);
  if (folder !== undefined) return resolve(folder);
  return origins.get('BACKUP_DIR')?.kind === 'default' ? undefined : resolve(config.backup.dir);
}

/**
 * Damage, absence and refusals of the room of backups, and what the file system refuses: one line for the person at the
 * terminal. Any other error is a fault and stays what it is.
 */
export function told(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof CommandError) return error;
  const hint = 'hint' in error && typeof error.hint === 'string' ? { hint: error.hint } : {};
  if (error.name === 'DamagedBackupError')
    return new CommandError(error.message, { exitCode: exitCodes.damaged, cause: error, ...hint });
  const forPeople = /^(MissingBackup|Operation|Inspect|DamagedFile|NewerFile|Sqlite)Error$|^RestoreRefusal$/.test(
    error.name,
  );
  // Such as "ENOSPC: no space left on device, write".
  const bySystem = 'syscall' in error && 'code' in error;
  if (!forPeople && !bySystem) return error;
  return new CommandError(error.message, { exitCode: exitCodes.failed, cause: error, ...hint });
}

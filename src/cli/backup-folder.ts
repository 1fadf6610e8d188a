/** Opens a folder of backups that must be there: reading must not create what it does not find. */
import { statSync } from 'node:fs';
import type { BackupTarget } from '../backup/target.ts';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-codes.ts';

/** @throws CommandError when there is no such folder */
export async function openBackups(path: string): Promise<BackupTarget> {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new CommandError(`there is no folder ${path} with backups`, {
      exitCode: exitCodes.failed,
      hint: 'Name it with --backup-dir or BACKUP_DIR, or make a backup first: fermata backup',
    });
  const { directoryTarget } = await import('../backup/directory-target.ts');
  return directoryTarget(path);
}

/**
 * `fermata verify`: is what lies there what was put there, and could it be restored? Reads everything, in a folder of
 * backups, a tenant's folder in it, or one object. Needs no server and no lock, and changes nothing.
 */
import { resolve } from 'node:path';
import type { ObjectReport } from '../backup/verify-all.ts';
import { loadConfig } from '../host/config-load.ts';
import { jsonFlag, tenantFlag, tenantGiven, told } from './backup-arguments.ts';
import { openBackups } from './backup-folder.ts';
import { Bar } from './bar.ts';
import { isOn, type Command, type Invocation } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { counted, grouped, printable, readableBytes } from './readable.ts';
import { verifyScope } from './verify-scope.ts';

export const verifyCommand: Command = {
  name: 'verify',
  usage: 'verify [<file or folder>]',
  summary: 'Check backups: could all of it be restored?',
  about:
    'Opens every base as a restore would, checks all that it holds and loads every actor, and checks every line of the archived log. ' +
    'One line for each object. Ends with 65 when something is damaged.',
  examples: [
    ['fermata verify', 'All of BACKUP_DIR.'],
    ['fermata verify /mnt/copies --tenant acme', 'One tenant, in another folder.'],
    ['fermata verify backups/acme/base/20261121T101500123Z.db', 'One base.'],
    ['fermata verify --json', 'For scripts.'],
  ],
  positionalsMax: 1,
  flags: [tenantFlag, jsonFlag],
  settings: ['DATA_DIR', 'BACKUP_DIR', 'LOG_LEVEL'],
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const tenant = tenantGiven(invocation, '--tenant');
  const { config } = loadConfig(invocation, { names: verifyCommand.settings });
  const { terminal } = invocation;
  const bar = new Bar(terminal.screen);
  try {
    const scope = verifyScope(resolve(invocation.positionals[0] ?? config.backup.dir), tenant);
    const target = await openBackups(scope.root);
    const { verifyBackups } = await import('../backup/verify-all.ts');
    const objects = await verifyBackups(target, scope, ({ name, bytes, bytesTotal }) =>
      bar.draw('verifying', bytes, bytesTotal, `${readableBytes(bytes)}, at ${printable(name)}`),
    );
    bar.end();
    const damaged = objects.filter(({ problem }) => problem !== undefined).length;
    const answer = { backups: target.name, objects: objects.length, damaged, reports: objects };
    if (isOn(invocation, '--json')) terminal.out(printable(JSON.stringify(answer, null, 2)));
    else {
      for (const object of objects) terminal.out(printable(lineOf(object)));
      terminal.out(verdict(objects.length, damaged, target.name));
    }
    return damaged === 0 ? exitCodes.ok : exitCodes.damaged;
  } catch (error) {
    throw told(error);
  } finally {
    bar.end();
  }
}

function lineOf({ name, kind, bytes, problem, note, actors, records }: ObjectReport): string {
  if (problem !== undefined) return `DAMAGED  ${problem.startsWith(name) ? '' : `${name}: `}${problem}`;
  const facts = [
    readableBytes(bytes),
    ...(actors === undefined ? [] : [counted(actors, 'actor')]),
    ...(records === undefined ? [] : [counted(records, 'record')]),
    ...(note === undefined ? [] : [note]),
  ];
  return `${kind === 'foreign' ? 'foreign' : 'ok'.padEnd(7)}  ${name}  ${facts.join(', ')}`;
}

function verdict(objects: number, damaged: number, where: string): string {
  if (damaged === 0) return `all is sound: ${counted(objects, 'object')} in ${where}`;
  return `${grouped(damaged)} of ${counted(objects, 'object')} in ${where} ${damaged === 1 ? 'is' : 'are'} damaged`;
}

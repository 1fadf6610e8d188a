/**
 * `fermata backup`: a verified copy of one tenant or of all, beside a running server or without one. Who makes it is
 * decided by `open`; this file reads the words and writes the answer.
 */
import { loadConfig } from '../host/config-load.ts';
import { Bar } from './bar.ts';
import { folderGiven, jsonFlag, tenantFlag, tenantGiven, told } from './backup-arguments.ts';
import { isOn, type Command, type Invocation, type Terminal } from './command.ts';
import type { BackedUp, BackupProgress, BackupResult, OpenDataOperations } from './data-operations.ts';
import { exitCodes } from './exit-codes.ts';
import { counted, grouped, printable, readableBytes, readableTable, readableTime } from './readable.ts';

export function backupCommand(open: OpenDataOperations): Command {
  const command: Command = {
    name: 'backup',
    usage: 'backup',
    summary: 'Back up one tenant or all, verified, also while serving.',
    about:
      'Copies each tenant as it is now, with everything acknowledged before the copy began, opens the copy, checks all of it, ' +
      'and only then gives it its name. A running server is asked to do it and goes on serving; without one the data directory ' +
      'is locked for as long as it takes. Never copy the files of a data directory by hand: see docs/backup.md.',
    examples: [
      ['fermata backup', 'All tenants, to BACKUP_DIR.'],
      ['fermata backup --tenant acme --to /mnt/copies', 'One tenant, to another disk.'],
      ['fermata backup --json', 'For scripts.'],
    ],
    positionalsMax: 0,
    flags: [
      tenantFlag,
      {
        name: '--to',
        value: '<folder>',
        help: 'Where it is put. [BACKUP_DIR of the running server, else of this command]',
      },
      jsonFlag,
    ],
    settings: ['DATA_DIR', 'BACKUP_DIR', 'LIMITS', 'LOG_LEVEL'],
    run: (invocation) => run(invocation, command, open),
  };
  return command;
}

async function run(invocation: Invocation, command: Command, open: OpenDataOperations): Promise<number> {
  const tenant = tenantGiven(invocation, '--tenant');
  const loaded = loadConfig(invocation, { names: command.settings });
  const to = folderGiven(invocation, '--to', loaded);
  const { terminal } = invocation;
  const bar = new Bar(terminal.screen);
  try {
    const operations = await open(loaded.config);
    try {
      const request = { ...(tenant === undefined ? {} : { tenant }), ...(to === undefined ? {} : { to }) };
      const results = await operations.backup(request, (progress) => drawProgress(bar, progress));
      bar.end();
      if (isOn(invocation, '--json')) terminal.out(printable(JSON.stringify({ tenants: results }, null, 2)));
      else print(results, loaded.config.dataDir, terminal);
      return results.every((result) => result.error === undefined) ? exitCodes.ok : exitCodes.failed;
    } finally {
      bar.end();
      await operations.close();
    }
  } catch (error) {
    throw told(error);
  }
}

function drawProgress(bar: Bar, { tenant, at, of, bytes, bytesTotal }: BackupProgress): void {
  const which = of === 1 ? tenant : `${tenant}, ${grouped(at)} of ${grouped(of)} tenants`;
  bar.draw('copying', bytes, bytesTotal, `${readableBytes(bytes)} of ${which}`);
}

function print(results: readonly BackupResult[], dataDir: string, terminal: Terminal): void {
  const done = results.filter((result): result is BackedUp => result.error === undefined);
  if (results.length === 0) terminal.out(`there are no tenants in ${dataDir} yet, so nothing was backed up`);
  if (done.length > 0) {
    const rows = done.map((each) => [
      each.tenant,
      each.base,
      readableBytes(each.bytes),
      grouped(each.actors),
      readableTime(each.ms),
      readableTime(each.longestPauseMs),
    ]);
    terminal.out(readableTable(['tenant', 'base', 'size', 'actors', 'took', 'longest pause'], rows));
    const targets = [...new Set(done.map((each) => each.target))].join(', ');
    terminal.out(`backed up and verified: ${counted(done.length, 'tenant')}, in ${targets}`);
  }
  for (const { tenant, error } of results)
    if (error !== undefined) terminal.err(`fermata: tenant ${tenant} was not backed up: ${printable(error)}`);
}

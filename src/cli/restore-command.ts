/**
 * `fermata restore`: builds a tenant from its newest good base and the log behind it, in a place beside the tenants, has all
 * of it checked there, and only then asks the owner of the data to put it in its place. Until then nothing has changed.
 */
import { resolve } from 'node:path';
import type { RestorePlan } from '../backup/restore-plan.ts';
import type { BackupTarget } from '../backup/target.ts';
import { loadConfig } from '../host/config-load.ts';
import type { Config } from '../host/config.ts';
import { createLog } from '../host/log.ts';
import { folderGiven, jsonFlag, told } from './backup-arguments.ts';
import { openBackups } from './backup-folder.ts';
import { isOn, type Command, type Invocation } from './command.ts';
import type { OpenDataOperations } from './data-operations.ts';
import { exitCodes } from './exit-codes.ts';
import { printable } from './readable.ts';
import { readRestoreAsked, type RestoreAsked } from './restore-arguments.ts';
import { withRestoreDirectory } from './restore-directory.ts';
import { planFacts, planText, restoredFacts, restoredText, type Restored } from './restore-report.ts';
import { refuseAbsentActor, refuseExisting, standingOf } from './restore-standing.ts';

export function restoreCommand(open: OpenDataOperations): Command {
  const command: Command = {
    name: 'restore',
    usage: 'restore --tenant <tenant>',
    summary: 'Put a tenant, or one actor, back from a backup, as of any second.',
    about:
      'Takes the newest good base before the time that is asked for and brings it up to that time with the archived log. The result ' +
      'is checked as a backup is before it takes its place; what was there is kept aside. A running server goes on ' +
      'serving the other tenants meanwhile; without one the data directory is locked for a moment.',
    examples: [
      ['fermata restore --tenant acme --dry-run', 'What would it give? Changes nothing.'],
      ['fermata restore --tenant acme --at 2026-11-21T10:15:00Z --replace', 'Back to that second.'],
      ['fermata restore --tenant acme --as acme-before', 'Beside the live one, to look at it.'],
      ['fermata restore --tenant acme --actor counter/c1 --replace', 'One actor, such as a quarantined one.'],
    ],
    positionalsMax: 0,
    flags: [
      { name: '--tenant', value: '<tenant>', help: 'Whose backup. Required.' },
      { name: '--at', value: '<time>', help: 'As of then, with zone: 2026-11-21T10:15:00Z. [the newest there is]' },
      { name: '--as', value: '<tenant>', help: 'Under another name, beside the tenant itself.' },
      { name: '--actor', value: '<type/id>', help: 'Only this actor; the rest of the tenant stays as it is.' },
      { name: '--replace', value: undefined, help: 'Also when it exists; ends its quarantine, if there is one.' },
      { name: '--from', value: '<folder>', help: 'Where the backups lie. [BACKUP_DIR]' },
      { name: '--dry-run', value: undefined, help: 'Say what it would give, and change nothing.' },
      jsonFlag,
    ],
    settings: ['DATA_DIR', 'BACKUP_DIR', 'LIMITS', 'LOG_LEVEL'],
    run: (invocation) => run(invocation, command, open),
  };
  return command;
}

async function run(invocation: Invocation, command: Command, open: OpenDataOperations): Promise<number> {
  const asked = readRestoreAsked(invocation);
  const loaded = loadConfig(invocation, { names: command.settings });
  const { config } = loaded;
  const from = folderGiven(invocation, '--from', loaded) ?? resolve(config.backup.dir);
  const { terminal } = invocation;
  const json = isOn(invocation, '--json');
  try {
    const target = await openBackups(from);
    const { planRestore } = await import('../backup/restore-plan.ts');
    if (!asked.dryRun) await refuseExisting(config.dataDir, asked);
    const { tenant, atMs, actor } = asked;
    const plan = await planRestore(target, tenant, atMs, actor === undefined ? {} : { actor });
    for (const skipped of plan.skipped) terminal.err(`fermata: ${skipped}`);
    if (asked.dryRun) {
      const facts = await planFacts(target, plan, asked, await standingOf(config.dataDir, asked));
      terminal.out(json ? printable(JSON.stringify(facts, null, 2)) : planText(facts));
      return exitCodes.ok;
    }
    const restored = await restore(config, target, plan, asked, open);
    for (const actor of restored.quarantined) terminal.err(`fermata: actor ${actor} is quarantined in the backup too`);
    terminal.out(json ? printable(JSON.stringify(restored, null, 2)) : restoredText(restored));
    return exitCodes.ok;
  } catch (error) {
    throw told(error);
  }
}

async function restore(
  config: Config,
  target: BackupTarget,
  plan: RestorePlan,
  asked: RestoreAsked,
  open: OpenDataOperations,
): Promise<Restored> {
  const { buildTenant, renameTenant } = await import('../backup/restore-build.ts');
  const { tenant, into, actor, replace } = asked;
  // Lines on stdout would end up in the answer; what goes wrong is thrown, and what was found is in `built`.
  const log = createLog({ level: 'silent', pretty: false }, 'restore');
  return await withRestoreDirectory(config.dataDir, tenant, async (directory) => {
    let built = await buildTenant(target, plan, directory, log, config.limits);
    await refuseAbsentActor(directory, asked);
    if (into !== tenant) built = await renameTenant(directory, tenant, into);
    const operations = await open(config);
    try {
      const request = { tenant: into, file: built.path, replace, ...(actor === undefined ? {} : { actor }) };
      return restoredFacts(plan, asked, built, await operations.swap(request));
    } finally {
      await operations.close();
    }
  });
}

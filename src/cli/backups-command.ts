/** `fermata backups`: which backups there are, and to which times they can bring a tenant back. Changes nothing, needs no server. */
import { resolve } from 'node:path';
import { loadConfig } from '../host/config-load.ts';
import type { TenantBackups } from './backup-catalog.ts';
import { jsonFlag, tenantFlag, tenantGiven, told } from './backup-arguments.ts';
import { openBackups } from './backup-folder.ts';
import { Bar } from './bar.ts';
import { isOn, type Command, type Invocation } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { grouped, printable, readableAge, readableBytes, readableTable } from './readable.ts';

export const backupsCommand: Command = {
  name: 'backups',
  usage: 'backups',
  summary: 'List backups, and the times that can be restored.',
  about:
    'Lists the bases of each tenant and how far the archived log reaches. Reads manifests and the log; whether the bases ' +
    'themselves are sound is what `fermata verify` tells.',
  examples: [
    ['fermata backups', 'All tenants.'],
    ['fermata backups --tenant acme --json', 'One, for scripts.'],
    ['fermata backups --backup-dir /mnt/copies', 'Of another folder.'],
  ],
  positionalsMax: 0,
  flags: [tenantFlag, jsonFlag],
  settings: ['DATA_DIR', 'BACKUP_DIR', 'LOG_LEVEL'],
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const tenant = tenantGiven(invocation, '--tenant');
  const { config } = loadConfig(invocation, { names: backupsCommand.settings });
  const { terminal } = invocation;
  const bar = new Bar(terminal.screen);
  try {
    const target = await openBackups(resolve(config.backup.dir));
    const { readCatalog } = await import('./backup-catalog.ts');
    const tenants = await readCatalog(target, tenant, (read, of) =>
      bar.draw('reading', read, of, `${grouped(read)} of ${grouped(of)} segments of the log`),
    );
    bar.end();
    if (isOn(invocation, '--json')) terminal.out(printable(JSON.stringify({ backups: target.name, tenants }, null, 2)));
    else terminal.out(tableOf(tenants, target.name, tenant));
    const damaged = tenants.flatMap((each) => each.damaged);
    for (const sentence of damaged) terminal.err(`fermata: damaged: ${printable(sentence)}`);
    return damaged.length === 0 ? exitCodes.ok : exitCodes.damaged;
  } catch (error) {
    throw told(error);
  } finally {
    bar.end();
  }
}

function tableOf(tenants: readonly TenantBackups[], where: string, tenant: string | undefined): string {
  if (tenants.length === 0)
    return `there are no backups${tenant === undefined ? '' : ` of tenant ${tenant}`} in ${where}`;
  const nowMs = Date.now();
  const bases = tenants.flatMap((each) =>
    each.bases.map((base) => [
      each.tenant,
      base.name,
      readableBytes(base.bytes),
      grouped(base.actors),
      readableAge(nowMs - Date.parse(base.finished)),
    ]),
  );
  const reach = tenants.flatMap(({ tenant: name, log, restorable }) => {
    const size = log.segments === 0 ? 'none' : `${readableBytes(log.bytes)} in ${grouped(log.segments)}`;
    const spans = restorable.length === 0 ? ['nothing'] : restorable.map(({ from, to }) => spanText(from, to));
    return spans.map((span, index) => (index === 0 ? [name, size, span] : ['', '', span]));
  });
  const tables = [readableTable(['tenant', 'log segments', 'can be restored'], reach)];
  if (bases.length > 0) tables.unshift(readableTable(['tenant', 'base', 'size', 'actors', 'finished'], bases));
  return tables.join('\n\n');
}

function spanText(from: string, to: string): string {
  return from === to ? `as of ${from}` : `any second from ${from} to ${to}`;
}

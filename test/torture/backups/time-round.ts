/** A restore to an instant of the run so far, announced by a dry run, and what the tenant's books held then. */
import type { Violation } from '../oracle.ts';
import { type BackupSite, iso } from './backup-site.ts';
import { judgeRestored } from './reading.ts';

export interface TimeOutcome {
  readonly violations: Violation[];
  readonly text: string;
}

interface Figures {
  readonly base: { readonly name: string } | string | null;
  readonly log?: { readonly records: number };
  readonly records?: number;
  readonly reaches: string | null;
}

/** To an instant that chance chooses. */
export async function timeRound(site: BackupSite, tenant: string): Promise<TimeOutcome> {
  const atMs = site.instant(tenant);
  if (atMs === undefined) return { violations: [], text: `${tenant} has no instant to go back to` };
  await site.archived(tenant, atMs);
  const dry = await site.run(['restore', '--tenant', tenant, '--at', iso(atMs), '--dry-run', '--json']);
  if (dry.code !== 0) return failed(`a dry run of ${tenant} as of ${iso(atMs)} ended with ${dry.code}: ${dry.stderr}`);
  const { violations, given } = await restoreAt(site, tenant, atMs);
  const promised = figures(dry.stdout);
  if (given !== undefined && promised !== given)
    violations.push({ kind: 'changed', text: `a restore as of ${iso(atMs)} gave ${given}, its dry run ${promised}` });
  return { violations, text: `${tenant} ${Math.round((Date.now() - atMs) / 1000)} s ago from ${promised}` };
}

/** Restores to that instant and compares; `given`: the figures that the command told of. */
export async function restoreAt(
  site: BackupSite,
  tenant: string,
  atMs: number,
): Promise<{ violations: Violation[]; given?: string }> {
  await site.archived(tenant, atMs);
  const place = site.place();
  const pairs = site.writers.pairsOf(tenant);
  try {
    const words = ['restore', '--tenant', tenant, '--at', iso(atMs), '--json'];
    const { code, stdout, stderr } = await site.run(words, { DATA_DIR: place });
    if (code !== 0) return failed(`a restore of ${tenant} as of ${iso(atMs)} ended with ${code}: ${stderr}`);
    site.instants += 1;
    site.exact += site.writers.books(tenant).filter((book) => book.isQuiet(atMs)).length;
    const span = { fromMs: atMs, toMs: atMs };
    return { violations: await judgeRestored(place, pairs, span, `as of ${iso(atMs)}`), given: figures(stdout) };
  } finally {
    site.remove(place);
  }
}

function figures(json: string): string {
  const { base, log, records, reaches } = JSON.parse(json) as Figures;
  const name = typeof base === 'string' ? base : (base?.name ?? 'the log alone');
  return `${name.slice(-22)} and ${log?.records ?? records} records to ${reaches}`;
}

function failed(text: string): TimeOutcome {
  return { violations: [{ kind: 'unavailable', text }], text: 'failed' };
}

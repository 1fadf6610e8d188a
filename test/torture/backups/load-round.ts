/** A backup while everybody writes, restored from the base alone, and what its books hold. */
import { join, resolve } from 'node:path';
import type { Violation } from '../oracle.ts';
import type { BackupSite } from './backup-site.ts';
import { judgeRestored } from './reading.ts';

export interface LoadOutcome {
  readonly violations: Violation[];
  readonly text: string;
  readonly longestPauseMs: number;
}

interface BackedUp {
  readonly base: string;
  readonly target: string;
  readonly bytes: number;
  readonly longestPauseMs: number;
}

/** `to`: instead of where the server archives to. */
export async function loadRound(site: BackupSite, tenant: string, to?: string): Promise<LoadOutcome> {
  const words = ['backup', '--tenant', tenant, '--json', ...(to === undefined ? [] : ['--to', to])];
  const { code, stdout, stderr } = await site.run(words);
  if (code !== 0) return failed(`a backup of ${tenant} ended with ${code}: ${stdout} ${stderr}`);
  const [made] = (JSON.parse(stdout) as { tenants: BackedUp[] }).tenants;
  if (made === undefined) return failed(`a backup of ${tenant} made nothing: ${stdout}`);
  const path = join(resolve(made.target), made.base).replace(/\.db$/, '');
  const base = site.bases(tenant, to).find((each) => each.path === path);
  if (base === undefined) return failed(`the backup ${path} has no manifest`);
  const alone = site.baseAlone(base);
  const place = site.place();
  const pairs = site.writers.pairsOf(tenant);
  try {
    const restored = await site.run(['restore', '--tenant', tenant, '--from', alone, '--json'], { DATA_DIR: place });
    if (restored.code !== 0) return failed(`${path} cannot be restored (${restored.code}): ${restored.stderr}`);
    // What was acknowledged in the millisecond in which it began may have come after it.
    const span = { fromMs: base.beganMs - 1, toMs: base.finishedMs };
    const violations = await judgeRestored(place, pairs, span, `in the base of ${base.path.slice(-19)}`);
    const facts = `${Math.round(made.bytes / 1024)} KiB, paused ${made.longestPauseMs} ms`;
    return { violations, text: `${tenant} ${facts}`, longestPauseMs: made.longestPauseMs };
  } finally {
    site.remove(alone);
    site.remove(place);
  }
}

function failed(text: string): LoadOutcome {
  return { violations: [{ kind: 'unavailable', text }], text: 'failed', longestPauseMs: 0 };
}

/** What a data directory holds that somebody still has to decide about: what was closed off, and restores that never ended. */
import { readdirSync } from 'node:fs';
import { dataPaths, look } from '../storage/paths.ts';
import { readPoison } from '../storage/poison-file.ts';
import { isTenant } from '../protocol/address.ts';
import { fail, ok, reason, warn, type Finding } from './doctor-finding.ts';
import { counted } from './readable.ts';

export interface LeftOvers {
  /** Tenants whose calls are refused. */
  readonly closedTenants: readonly string[];
  readonly closedCalls: number;
  /** Files and folders that were moved aside. */
  readonly asideNames: readonly string[];
  /** Folders in which a tenant was, or is being, built. */
  readonly restores: readonly string[];
}

export type LeftOverFacts = LeftOvers | { readonly problem: string };

export async function lookForLeftOvers(dataDir: string): Promise<LeftOverFacts> {
  try {
    const { tenants, quarantine } = dataPaths(dataDir);
    const { readMarker } = await import('../storage/quarantine.ts');
    return {
      closedTenants: namesIn(tenants).filter((name) => isTenant(name) && readMarker(dataDir, name) !== undefined),
      closedCalls: readPoison(dataDir).length,
      asideNames: namesIn(quarantine).filter((name) => !name.startsWith('calls.json')),
      restores: namesIn(dataDir).filter((name) => name.startsWith('restore-')),
    };
  } catch (error) {
    return { problem: reason(error) };
  }
}

function namesIn(folder: string): string[] {
  return look(folder)?.isDirectory() === true ? readdirSync(folder) : [];
}

export function judgeQuarantine(facts: LeftOverFacts): Finding {
  const check = 'quarantine';
  if ('problem' in facts) return unseen(check, facts.problem);
  const { closedTenants, closedCalls, asideNames } = facts;
  const hint = 'fermata quarantine list says what and why, docs/operations.md how to end it.';
  if (closedTenants.length > 0)
    return fail(check, `closed off, and not served: ${closedTenants.slice(0, 5).join(', ')}`, hint);
  if (closedCalls > 0) return warn(check, `${counted(closedCalls, 'call')} closed off`, hint);
  if (asideNames.length > 0)
    return warn(
      check,
      `moved aside: ${asideNames.slice(0, 3).join(', ')}${asideNames.length > 3 ? ', …' : ''}`,
      'Damaged files, and those that a restore replaced, stay until you remove them. See fermata quarantine list first.',
    );
  return ok(check, 'nothing is closed off');
}

export function judgeRestores(facts: LeftOverFacts): Finding {
  const check = 'unfinished restores';
  if ('problem' in facts) return unseen(check, facts.problem);
  if (facts.restores.length === 0) return ok(check, 'none');
  return warn(
    check,
    facts.restores.slice(0, 3).join(', '),
    'A restore is under way, or was killed: then the tenant is as it was before, and the next restore removes this.',
  );
}

function unseen(check: string, problem: string): Finding {
  return fail(check, `cannot be looked at: ${problem}`, 'Run it as the user that serves.');
}

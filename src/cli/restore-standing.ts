/**
 * What stands already where a restore wants to go. A courtesy before the work, by looking only: whoever owns the data decides
 * when the built file takes its place, and says the same.
 */
import { join } from 'node:path';
import { look, tenantDirectory } from '../storage/paths.ts';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-codes.ts';
import { printable } from './readable.ts';
import type { RestoreAsked } from './restore-arguments.ts';
import { alreadyThere, tenantAbsent } from './restore-refusal.ts';

export interface Standing {
  readonly exists: boolean;
  /** Why it is closed off; undefined when it is not. */
  readonly quarantined: string | undefined;
}

/** @throws CommandError when it exists and is not to be replaced, or when one actor has no tenant to go to */
export async function refuseExisting(dataDir: string, asked: RestoreAsked): Promise<void> {
  const { into: tenant, actor, replace } = asked;
  if (actor !== undefined) {
    const whole = await standingTenant(dataDir, tenant);
    if (!whole.exists) throw tenantAbsent(tenant);
    if (whole.quarantined !== undefined)
      throw new CommandError(`tenant ${tenant} is quarantined as a whole: ${printable(whole.quarantined)}`, {
        exitCode: exitCodes.failed,
        hint: 'Leave --actor out and restore the tenant, with --replace.',
      });
  }
  if (replace) return;
  const { exists, quarantined } = await standingOf(dataDir, asked);
  if (exists) throw alreadyThere({ tenant, actor, quarantined });
}

/** What stands where it wants to go: a tenant, or one actor of it. */
export async function standingOf(dataDir: string, { into, actor }: RestoreAsked): Promise<Standing> {
  const whole = await standingTenant(dataDir, into);
  if (actor === undefined || !whole.exists || whole.quarantined !== undefined) return whole;
  const { listClosedOff } = await import('../storage/closed-off.ts');
  const closed = listClosedOff(dataDir).closed.find(
    (each) => each.kind === 'actor' && each.tenant === into && each.type === actor.type && each.id === actor.id,
  );
  if (closed !== undefined) return { exists: true, quarantined: closed.reason };
  return { exists: await hasActor(dataDir, into, actor.type, actor.id), quarantined: undefined };
}

/** @throws CommandError when a backup that was built in `directory` has no such actor, or has it closed off */
export async function refuseAbsentActor(directory: string, { tenant, actor }: RestoreAsked): Promise<void> {
  if (actor === undefined || (await hasActor(directory, tenant, actor.type, actor.id))) return;
  throw new CommandError(
    `the backup of tenant ${tenant} has no actor ${printable(`${actor.type}/${actor.id}`)} as of then`,
    { exitCode: exitCodes.failed, hint: 'Name another time with --at.' },
  );
}

async function standingTenant(dataDir: string, tenant: string): Promise<Standing> {
  const { readMarker } = await import('../storage/quarantine.ts');
  const marker = readMarker(dataDir, tenant);
  const exists = marker !== undefined || look(join(tenantDirectory(dataDir, tenant), 'tenant.db')) !== undefined;
  return { exists, quarantined: marker?.reason };
}

/** @throws InspectError when it is quarantined */
async function hasActor(dataDir: string, tenant: string, type: string, id: string): Promise<boolean> {
  const { InspectError, readActor } = await import('../storage/inspect.ts');
  try {
    readActor(dataDir, tenant, type, id);
    return true;
  } catch (error) {
    if (error instanceof InspectError && !error.message.includes(' is quarantined')) return false;
    throw error;
  }
}

/**
 * What the storage closed off because it failed a check: whole tenants (their markers) and single actors (rows in their
 * tenant's file). A look beside a running server or without one; writes nothing, locks nothing, creates nothing.
 *
 * A tenant whose file cannot be read just now does not hide the others: it comes back as unread, with the reason.
 */
import { readdirSync } from 'node:fs';
import { isTenant } from '../protocol/address.ts';
import { dataPaths, look } from './paths.ts';
import { readMarker } from './quarantine.ts';
import { readTenant } from './read-only.ts';

export interface ClosedTenant {
  readonly kind: 'tenant';
  readonly tenant: string;
  readonly reason: string;
  /** ISO 8601; empty when its marker cannot be read. */
  readonly since: string;
  /** Below the data directory; undefined when there was no file to move. */
  readonly movedTo: string | undefined;
}

export interface ClosedActor {
  readonly kind: 'actor';
  readonly tenant: string;
  readonly type: string;
  readonly id: string;
  readonly reason: string;
  /** ISO 8601. */
  readonly since: string;
}

export interface ClosedOff {
  readonly closed: readonly (ClosedTenant | ClosedActor)[];
  /** Nobody can say whether actors of these are closed off. */
  readonly unread: readonly { readonly tenant: string; readonly reason: string }[];
}

/** Everything that is closed off, by tenant. */
export function listClosedOff(dataDir: string): ClosedOff {
  const closed: (ClosedTenant | ClosedActor)[] = [];
  const unread: { tenant: string; reason: string }[] = [];
  const { tenants } = dataPaths(dataDir);
  const names = look(tenants) === undefined ? [] : readdirSync(tenants).filter(isTenant);
  for (const tenant of names.sort()) {
    const marker = readMarker(dataDir, tenant);
    if (marker !== undefined) {
      const { reason, at, movedTo } = marker;
      closed.push({ kind: 'tenant', tenant, reason, since: at, movedTo });
      continue;
    }
    try {
      closed.push(...closedActors(dataDir, tenant));
    } catch (error) {
      unread.push({ tenant, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  return { closed, unread };
}

function closedActors(dataDir: string, tenant: string): ClosedActor[] {
  const rows = readTenant(dataDir, tenant, (reader) => reader?.closed() ?? []);
  return rows.map(({ type, id, reason, atMs }) => {
    return { kind: 'actor', tenant, type, id, reason, since: new Date(atMs).toISOString() };
  });
}

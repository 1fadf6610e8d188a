/**
 * A look at a data directory, beside a running server or without one. Writes nothing, locks nothing, creates nothing.
 *
 * What is shown is what was acknowledged: the tenant file with the journals' entries on top. Journals are read first, then
 * what was spilled from them: what the keeper moves on to the tenant file in between is then seen twice, never missed.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isTenant } from '../protocol/address.ts';
import { coalesce, type ActorState } from './coalesce.ts';
import { DamagedActorError } from './damaged-actor.ts';
import { dataPaths, look, tenantDirectory } from './paths.ts';
import { actorKey, Pending, type PendingActor, type PendingTenant } from './pending.ts';
import { readMarker } from './quarantine.ts';
import { afterVisits } from './questions.ts';
import { readJournals, readSpilled, readTenant, type TenantReader } from './read-only.ts';
import type { StoredSession } from './session-table.ts';

export interface TenantInfo {
  readonly tenant: string;
  /** Of its file and the file's WAL. */
  readonly bytes: number;
  readonly quarantined: string | undefined;
}

export interface ActorInfo {
  readonly type: string;
  readonly id: string;
  readonly seq: number;
  readonly version: number;
  /** Of the state as JSON text. */
  readonly bytes: number;
  /** When the tenant file took it over, milliseconds since the epoch; undefined while only a journal has it. */
  readonly updatedMs: number | undefined;
  readonly readFrom: 'tenant file' | 'journal';
  readonly quarantined: string | undefined;
}

export interface ActorDetail extends ActorInfo {
  /** JSON text; undefined when only calls were stored. */
  readonly state: string | undefined;
  /** Stored outcomes of calls with a key, numbered ones included. */
  readonly outcomes: number;
  /** Clients that the actor's `onConnect` has seen, and whose `onDisconnect` it has not. */
  readonly visitors: number;
}

/** What was asked for is not there, or may not be shown. The message is for people. */
export class InspectError extends Error {
  override readonly name = 'InspectError';
}

/** All tenants with data, also those whose data is in a journal alone, by name. */
export function listTenants(dataDir: string): TenantInfo[] {
  needDirectory(dataDir);
  const pending = readPending(dataDir);
  const { tenants } = dataPaths(dataDir);
  const names = new Set(look(tenants) === undefined ? [] : readdirSync(tenants).filter(isTenant));
  for (const tenant of pending.tenants.keys()) names.add(tenant);
  return [...names].sort().map((tenant) => {
    const path = join(tenantDirectory(dataDir, tenant), 'tenant.db');
    const bytes = (look(path)?.size ?? 0) + (look(`${path}-wal`)?.size ?? 0);
    return { tenant, bytes, quarantined: readMarker(dataDir, tenant)?.reason };
  });
}

/** A tenant's actors by type and id, at most `actorsMax`. @throws InspectError */
export function listActors(dataDir: string, tenant: string, actorsMax = 10_000): ActorInfo[] {
  return withTenant(dataDir, tenant, (reader, batch) => {
    const names = new Map(reader?.actors(actorsMax).map((actor) => [actorKey(actor.type, actor.id), actor]));
    for (const [key, { type, id, changes }] of batch?.actors ?? [])
      if (changes.length > 0) names.set(key, { type, id });
    const sorted = [...names].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, actorsMax);
    return sorted.map(([, { type, id }]) => {
      const { state: _, outcomes: __, visitors: ___, ...info } = describe(reader, batch, tenant, type, id)!;
      return info;
    });
  });
}

/** @throws InspectError when there is no such tenant or actor, or it is quarantined */
export function readActor(dataDir: string, tenant: string, type: string, id: string): ActorDetail {
  const detail = withTenant(dataDir, tenant, (reader, batch) => describe(reader, batch, tenant, type, id));
  if (detail === undefined) throw new InspectError(`tenant "${tenant}" has no actor "${type}/${id}"`);
  if (detail.quarantined !== undefined)
    throw new InspectError(`actor "${type}/${id}" of tenant "${tenant}" is quarantined: ${detail.quarantined}`);
  return detail;
}

/** Records of a tenant's sessions, the newest first, at most `sessionsMax`. @throws InspectError */
export function listSessions(dataDir: string, tenant: string, sessionsMax = 10_000): StoredSession[] {
  return withTenant(dataDir, tenant, (reader) => reader?.sessions(sessionsMax) ?? []);
}

function withTenant<T>(
  dataDir: string,
  tenant: string,
  look: (reader: TenantReader | undefined, batch: PendingTenant | undefined) => T,
): T {
  needDirectory(dataDir);
  if (!isTenant(tenant)) throw new InspectError(`${JSON.stringify(tenant)} is not a name that a tenant can have`);
  const marker = readMarker(dataDir, tenant);
  if (marker !== undefined) {
    const where = marker.movedTo === undefined ? '' : `; its file lies in ${marker.movedTo}`;
    throw new InspectError(`tenant "${tenant}" is quarantined since ${marker.at}: ${marker.reason}${where}`);
  }
  const batch = readPending(dataDir, tenant).tenants.get(tenant);
  const found = readTenant(dataDir, tenant, (reader) => {
    if (reader === undefined && batch === undefined)
      throw new InspectError(`there is no tenant "${tenant}" in ${dataDir}`);
    return look(reader, batch);
  });
  return found;
}

function describe(
  reader: TenantReader | undefined,
  batch: PendingTenant | undefined,
  tenant: string,
  type: string,
  id: string,
): ActorDetail | undefined {
  const pending = batch?.actors.get(actorKey(type, id));
  const none = {
    type,
    id,
    seq: 0,
    version: 0,
    bytes: 0,
    updatedMs: undefined,
    readFrom: 'tenant file',
    state: undefined,
    outcomes: 0,
    visitors: 0,
  } as const;
  const closed = reader?.closedReason(type, id) ?? batch?.closed.get(actorKey(type, id))?.reason;
  if (closed !== undefined) return { ...none, quarantined: closed };
  try {
    const stored = reader?.actor(type, id);
    const outcomes = countKeyed(reader, pending, type, id) + countNumbered(reader, pending, type, id);
    const visitors = countVisitors(reader, pending, type, id);
    const state: ActorState | undefined = coalesce(stored, pending?.changes ?? []);
    if (state === undefined)
      return outcomes + visitors === 0 ? undefined : { ...none, outcomes, visitors, quarantined: undefined };
    const fromJournal = state.seq > (stored?.seq ?? 0);
    return {
      ...none,
      seq: state.seq,
      version: state.version,
      state: state.state,
      bytes: Buffer.byteLength(state.state),
      updatedMs: stored?.updatedMs,
      readFrom: fromJournal ? 'journal' : 'tenant file',
      outcomes,
      visitors,
      quarantined: undefined,
    };
  } catch (error) {
    // What the keeper would close off as soon as it meets it.
    if (error instanceof DamagedActorError || (error instanceof Error && error.name === 'PatchError'))
      return { ...none, quarantined: error.message };
    throw error;
  }
}

type Counting = [reader: TenantReader | undefined, pending: PendingActor | undefined, type: string, id: string];

function countKeyed(...[reader, pending, type, id]: Counting): number {
  const keys = new Set(reader?.outcomeKeys(type, id));
  for (const call of pending?.calls ?? []) keys.add((JSON.parse(call) as [string])[0]);
  return keys.size;
}

function countNumbered(...[reader, pending, type, id]: Counting): number {
  const clients = new Map<string, { ack: number; readonly numbers: Set<number> }>();
  for (const { client, ack, calls } of [
    ...(reader?.numbered(type, id) ?? []),
    ...(pending?.trail?.allNumbered ?? []),
  ]) {
    const known = clients.get(client) ?? { ack: 0, numbers: new Set() };
    clients.set(client, known);
    known.ack = Math.max(known.ack, ack);
    for (const { n } of calls) known.numbers.add(n);
  }
  let count = 0;
  for (const { ack, numbers } of clients.values()) for (const n of numbers) if (n > ack) count += 1;
  return count;
}

function countVisitors(...[reader, pending, type, id]: Counting): number {
  const { visitors, visitSeq } = reader?.visitors(type, id) ?? { visitors: [], visitSeq: 0 };
  return afterVisits(visitors, pending?.trail?.visits.filter(({ n }) => n > visitSeq) ?? []).length;
}

/** What the journals hold and what was spilled from them, of one tenant or of all. */
function readPending(dataDir: string, tenant?: string): Pending {
  const pending = new Pending();
  for (const { shard, rows } of readJournals(dataDir)) {
    for (const { journalSeq, body, damage } of rows) {
      const mine = tenant === undefined ? body : entriesOf(body, tenant);
      pending.add(
        shard,
        { journalSeq, body: mine },
        damage.filter(({ address }) => tenant === undefined || address.tenant === tenant),
      );
    }
  }
  for (const held of readSpilled(dataDir))
    if (tenant === undefined || held.tenant === tenant) pending.recall(held.entry);
  return pending;
}

function entriesOf(body: string, tenant: string): string {
  // The header starts after the CRC and its tab; a tenant's name needs no escaping.
  const head = `["${tenant}",`;
  return body
    .split('\n')
    .filter((text) => text.startsWith(head, 9))
    .join('\n');
}

function needDirectory(dataDir: string): void {
  if (look(dataDir) === undefined)
    throw new InspectError(`there is no data directory ${dataDir}: name it with --data-dir or DATA_DIR`);
}

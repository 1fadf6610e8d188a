/**
 * What a backup target holds, per tenant: the bases, and the spans of time to which the bases and the log can bring it back.
 * Reads manifests and the whole log, one segment at a time; the bases themselves are what `fermata verify` reads.
 */
import { DamagedBackupError } from '../backup/errors.ts';
import { type ReadSegment, listLog, readSegment } from '../backup/log-chain.ts';
import { decodeManifest } from '../backup/manifest.ts';
import { basesOf, segmentNumber, tenantOf } from '../backup/names.ts';
import type { BackupObject, BackupTarget } from '../backup/target.ts';

export interface TenantBackups {
  readonly tenant: string;
  /** Oldest first. */
  readonly bases: readonly CatalogBase[];
  readonly log: { readonly segments: number; readonly bytes: number };
  /** To every second of these it can be restored, both ends included; ISO 8601, oldest first. */
  readonly restorable: readonly { readonly from: string; readonly to: string }[];
  /** One sentence for each object that could not be read. */
  readonly damaged: readonly string[];
}

export interface CatalogBase {
  readonly name: string;
  readonly began: string;
  readonly finished: string;
  readonly bytes: number;
  readonly actors: number;
  readonly logFrom: number | null;
}

/** By tenant; of one only, when it is named. `progress` hears of the segments read. */
export async function readCatalog(
  target: BackupTarget,
  tenant: string | undefined,
  progress: (read: number, of: number) => void,
): Promise<TenantBackups[]> {
  const objects = await target.list(tenant === undefined ? '' : `${tenant}/`);
  const of = objects.filter(({ name }) => !Number.isNaN(segmentNumber(name))).length;
  let read = 0;
  const found: TenantBackups[] = [];
  for (const each of new Set(objects.map(({ name }) => tenantOf(name)))) {
    found.push(await readTenantBackups(target, each, objects, () => progress(++read, of)));
  }
  return found;
}

async function readTenantBackups(
  target: BackupTarget,
  tenant: string,
  objects: readonly BackupObject[],
  onSegment: () => void,
): Promise<TenantBackups> {
  const damaged: string[] = [];
  const bases: CatalogBase[] = [];
  for (const { name } of objects.filter(
    (each) => each.name.startsWith(basesOf(tenant)) && each.name.endsWith('.json'),
  )) {
    const base = await attempt(damaged, () => readBase(target, name));
    if (base !== undefined) bases.push(base);
  }
  const parts = await listLog(target, tenant);
  const chains: Chain[] = [];
  for (const part of parts) {
    const segment = await attempt(damaged, async () => linkOf(await readSegment(target, tenant, part)));
    if (segment !== undefined) addToChains(chains, segment);
    onSegment();
  }
  const log = { segments: parts.length, bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0) };
  return { tenant, bases, log, restorable: spansOf(bases, chains), damaged };
}

/** Undefined, and a sentence more, when the object is damaged. */
async function attempt<T>(damaged: string[], read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof DamagedBackupError)) throw error;
    damaged.push(error.message);
    return undefined;
  }
}

async function readBase(target: BackupTarget, name: string): Promise<CatalogBase> {
  const manifest = decodeManifest((await target.read(name)).toString('utf8'), name);
  return {
    name: name.replace(/\.json$/, '.db'),
    began: manifest.began,
    finished: manifest.finished,
    bytes: manifest.bytes,
    actors: manifest.rows.actors ?? 0,
    logFrom: manifest.logFrom ?? null,
  };
}

interface Link {
  readonly number: number;
  readonly after: 'start' | 'previous' | 'gap';
  readonly beganMs: number;
  readonly lastMs: number;
}

/** Undefined when its first append was cut off: it holds nothing, and nothing follows it but a gap. */
function linkOf({ number, segment }: ReadSegment): Link | undefined {
  if (segment === undefined) return undefined;
  const beganMs = Date.parse(segment.header.began);
  const lastMs = segment.records.reduce((latest, { atMs }) => Math.max(latest, atMs), beganMs);
  return { number, after: segment.header.after, beganMs, lastMs };
}

/** Segments that go on from one another without loss. */
interface Chain {
  readonly first: Link;
  last: Link;
  lastMs: number;
}

function addToChains(chains: Chain[], segment: Link): void {
  const chain = chains.at(-1);
  if (chain !== undefined && segment.after === 'previous' && segment.number === chain.last.number + 1) {
    chain.last = segment;
    chain.lastMs = Math.max(chain.lastMs, segment.lastMs);
  } else chains.push({ first: segment, last: segment, lastMs: segment.lastMs });
}

/** A base reaches as far as the chain that it is continued by; a chain from the tenant's very start needs no base. */
function spansOf(bases: readonly CatalogBase[], chains: readonly Chain[]): { from: string; to: string }[] {
  const spans = chains
    .filter(({ first }) => first.after === 'start')
    .map(({ first, lastMs }) => ({ fromMs: first.beganMs, toMs: lastMs }));
  for (const { began, finished, logFrom } of bases) {
    const chain = chains.find((each) => continues(each, logFrom, Date.parse(began)));
    const fromMs = Date.parse(finished);
    spans.push({ fromMs, toMs: Math.max(fromMs, chain?.lastMs ?? fromMs) });
  }
  const merged: { fromMs: number; toMs: number }[] = [];
  for (const span of spans.sort((a, b) => a.fromMs - b.fromMs)) {
    const before = merged.at(-1);
    if (before !== undefined && span.fromMs <= before.toMs) before.toMs = Math.max(before.toMs, span.toMs);
    else merged.push(span);
  }
  return merged.map(({ fromMs, toMs }) => ({ from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString() }));
}

/** Behind a gap a chain continues only a base that was begun after the gap was known: then the gap is in the base. */
function continues({ first, last }: Chain, logFrom: number | null, baseBeganMs: number): boolean {
  if (logFrom === null || logFrom < first.number || logFrom > last.number) return false;
  return first.number < logFrom || first.after === 'previous' || first.beganMs <= baseBeganMs;
}

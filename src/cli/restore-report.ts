/** What a restore would give, and what it gave: as facts for scripts and as text for people. */
import type { Built } from '../backup/restore-build.ts';
import type { RestorePlan } from '../backup/restore-plan.ts';
import type { BackupTarget } from '../backup/target.ts';
import type { SwapResult } from './data-operations.ts';
import { counted, printable, readableBytes } from './readable.ts';
import type { RestoreAsked } from './restore-arguments.ts';
import type { Standing } from './restore-standing.ts';

export interface PlanFacts {
  readonly tenant: string;
  readonly into: string;
  /** `type/id`; null: the whole tenant. */
  readonly actor: string | null;
  readonly backups: string;
  /** ISO 8601, as all times here; null: the newest there is. */
  readonly at: string | null;
  readonly base: { readonly name: string; readonly bytes: number; readonly finished: string } | null;
  readonly log: { readonly segments: number; readonly bytes: number; readonly records: number };
  /** As of when it would be. */
  readonly reaches: string | null;
  readonly skipped: readonly string[];
  readonly exists: boolean;
  readonly quarantined: string | null;
}

export async function planFacts(
  target: BackupTarget,
  plan: RestorePlan,
  asked: RestoreAsked,
  standing: Standing,
): Promise<PlanFacts> {
  const { base, segments, records, skipped } = plan;
  const sizes = new Map((await target.list(`${plan.tenant}/`)).map(({ name, bytes }) => [name, bytes]));
  return {
    tenant: plan.tenant,
    into: asked.into,
    actor: asked.actor === undefined ? null : `${asked.actor.type}/${asked.actor.id}`,
    backups: target.name,
    at: asked.atMs === undefined ? null : iso(asked.atMs),
    base: base === undefined ? null : { name: base.name, bytes: base.manifest.bytes, finished: base.manifest.finished },
    log: {
      segments: segments.length,
      bytes: segments.reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0),
      records,
    },
    reaches: reachOf(plan),
    skipped,
    exists: standing.exists,
    quarantined: standing.quarantined ?? null,
  };
}

export function planText(facts: PlanFacts): string {
  const { tenant, into, actor, base, log } = facts;
  const place = into === tenant ? 'in its own place' : `as tenant ${into}`;
  const rows = [
    ['tenant', `${tenant}${actor === null ? '' : `, only actor ${printable(actor)}`}, ${place}`],
    ['from', facts.backups],
    ['asked for', facts.at ?? 'the newest there is'],
    [
      'base',
      base === null
        ? 'none: the log begins with the tenant'
        : `${base.name}, ${readableBytes(base.bytes)}, finished ${base.finished}`,
    ],
    ['log', `${counted(log.records, 'record')}, ${readableBytes(log.bytes)} in ${counted(log.segments, 'segment')}`],
    ['reaches', facts.reaches ?? 'nothing was ever committed'],
    ...facts.skipped.map((sentence) => ['left out', sentence]),
    ['there now', standingText(facts)],
  ];
  const lines = rows.map(([label = '', value = '']) => `${label.padEnd(10)} ${value}`);
  return [...lines, '', 'Nothing was changed.'].join('\n');
}

export interface Restored {
  readonly tenant: string;
  readonly into: string;
  readonly actor: string | null;
  readonly base: string | null;
  readonly records: number;
  readonly reaches: string | null;
  readonly actors: number;
  readonly bytes: number;
  /** `type/id` of actors that are closed off in the backup as well. */
  readonly quarantined: readonly string[];
  /** Where the former file went; null when there was none, or one actor was restored. */
  readonly movedTo: string | null;
}

export function restoredFacts(plan: RestorePlan, asked: RestoreAsked, built: Built, swapped: SwapResult): Restored {
  return {
    tenant: plan.tenant,
    into: asked.into,
    actor: asked.actor === undefined ? null : `${asked.actor.type}/${asked.actor.id}`,
    base: plan.base?.name ?? null,
    records: plan.records,
    reaches: reachOf(plan),
    actors: built.actors,
    bytes: built.bytes,
    quarantined: built.quarantined.map(({ type, id }) => `${type}/${id}`),
    movedTo: swapped.movedTo ?? null,
  };
}

export function restoredText(restored: Restored): string {
  const { tenant, into, actor, movedTo } = restored;
  const what =
    actor === null
      ? `tenant ${into}${into === tenant ? '' : ` from the backup of ${tenant}`}: ${counted(restored.actors, 'actor')}, ${readableBytes(restored.bytes)}`
      : `actor ${printable(actor)} of tenant ${into}`;
  const base = restored.base === null ? 'the log alone' : `base ${restored.base}`;
  const lines = [
    `restored ${what}`,
    `  as of ${restored.reaches ?? 'before its first change'}, from ${base} with ${counted(restored.records, 'record')} of the log`,
  ];
  if (movedTo !== null) lines.push(`  what was there before lies in ${movedTo}`);
  return lines.join('\n');
}

/** As of when it is: what was committed by then and is in it. A base may hold what was committed until it was finished. */
export function reachOf({ base, lastRecordMs, atMs }: RestorePlan): string | null {
  const times = [base === undefined ? undefined : Date.parse(base.manifest.finished), lastRecordMs];
  const known = times.filter((ms) => ms !== undefined);
  if (known.length === 0) return null;
  const ms = Math.max(...known);
  return iso(atMs === undefined ? ms : Math.min(ms, atMs));
}

function standingText({ exists, quarantined, actor }: PlanFacts): string {
  const what = actor === null ? 'tenant' : 'actor';
  if (!exists) return `no such ${what}`;
  const closed = quarantined === null ? '' : `, quarantined: ${printable(quarantined)}`;
  return `the ${what} exists${closed}; --replace is needed`;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

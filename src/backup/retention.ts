/**
 * Which bases stay. Pure: names and times in, names out; whoever calls removes. Hours, days and ISO weeks are those of UTC.
 *
 * Of each of the last so many hours, days and weeks the newest base stays. Only those that have a base are counted, from
 * the newest back, so that a server that was off for a month loses nothing by it. The newest base stays in any case. One
 * that claims to be of the future was taken under a wrong clock: it stays until its time comes, and does not count, so that
 * it cannot push out those that are taken now.
 *
 * A base behind a gap in the log stays as long as an older one does: nothing else leads to the times after it.
 */

export interface Keep {
  readonly hourly: number;
  readonly daily: number;
  readonly weekly: number;
}

export interface DatedBase {
  readonly name: string;
  readonly beganMs: number;
  readonly behindGap: boolean;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const weekMs = 7 * dayMs;
/** ISO weeks begin on Mondays; the first of January 1970 was a Thursday. */
const mondayMs = -3 * dayMs;

/** Both newest first. */
export function keepBases(bases: readonly DatedBase[], keep: Keep, nowMs: number): { keep: string[]; drop: string[] } {
  const newestFirst = bases.toSorted((a, b) => b.beganMs - a.beganMs || (a.name < b.name ? 1 : -1));
  const past = newestFirst.filter(({ beganMs }) => beganMs <= nowMs);
  const kept = new Set([
    ...newestFirst.filter(({ beganMs }) => beganMs > nowMs),
    ...past.slice(0, 1),
    ...newestOfEach(past, keep.hourly, ({ beganMs }) => Math.floor(beganMs / hourMs)),
    ...newestOfEach(past, keep.daily, ({ beganMs }) => Math.floor(beganMs / dayMs)),
    ...newestOfEach(past, keep.weekly, ({ beganMs }) => Math.floor((beganMs - mondayMs) / weekMs)),
  ]);
  const oldest = newestFirst.findLast((base) => kept.has(base));
  for (const base of newestFirst) {
    if (base === oldest) break;
    if (base.behindGap) kept.add(base);
  }
  const names = (stays: boolean): string[] => newestFirst.filter((base) => kept.has(base) === stays).map(nameOf);
  return { keep: names(true), drop: names(false) };
}

function newestOfEach(
  newestFirst: readonly DatedBase[],
  spans: number,
  spanOf: (base: DatedBase) => number,
): DatedBase[] {
  const newest = new Map<number, DatedBase>();
  for (const base of newestFirst) {
    const span = spanOf(base);
    if (!newest.has(span) && newest.size < spans) newest.set(span, base);
  }
  return [...newest.values()];
}

function nameOf({ name }: DatedBase): string {
  return name;
}

/**
 * Segments that no kept base needs. `oldestKeptLogFrom` is the lowest `logFrom` of the kept bases; undefined, when there
 * is no base or one of them was taken before anything was archived: then all segments stay.
 */
export function segmentsToDrop(segmentNumbers: readonly number[], oldestKeptLogFrom: number | undefined): number[] {
  return oldestKeptLogFrom === undefined ? [] : segmentNumbers.filter((number) => number < oldestKeptLogFrom);
}

/**
 * What is kept of a stream: the newest items, as many as may be kept, without a gap. Pure; for the keeper when it writes
 * and when it answers, so that both mean the same.
 */
import type { HistoryItem } from './contract.ts';

/** The newest of items in order: `countMax` of them and `charsMax` characters at most, and none before a gap. */
export function newestRun(items: readonly HistoryItem[], countMax: number, charsMax: number): readonly HistoryItem[] {
  let chars = 0;
  let from = items.length;
  for (; from > 0 && items.length - from < countMax; from -= 1) {
    const item = items[from - 1]!;
    chars += item.text.length;
    const follows = from === items.length || item.seq === items[from]!.seq - 1;
    if (!follows || chars > charsMax) break;
  }
  return from === 0 ? items : items.slice(from);
}

/**
 * What comes after `since`, up to the newest number that was ever given; undefined when something of it is not there. -1
 * stands for whatever there is.
 */
export function itemsSince(
  kept: readonly HistoryItem[],
  newestSeq: number,
  since: number,
): readonly HistoryItem[] | undefined {
  const isWhole = kept.length > 0 && kept.at(-1)!.seq === newestSeq;
  if (since === -1) return isWhole ? kept : [];
  if (since === newestSeq) return [];
  if (since > newestSeq || !isWhole || kept[0]!.seq > since + 1) return undefined;
  return kept.slice(since + 1 - kept[0]!.seq);
}

/**
 * One tenant goes back to an instant in the running server, while all are written to: the others notice nothing; it holds
 * what it held then and what was acknowledged since it is back, also after kill -9, when journals are replayed.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Violation } from '../oracle.ts';
import { type BackupSite, iso } from './backup-site.ts';
import { judgeLive } from './live.ts';
import { judgeTwins, readBooks } from './reading.ts';
import { restoreAt } from './time-round.ts';

export interface ReplaceOutcome {
  readonly violations: Violation[];
  readonly text: string;
}

const afterMs = 400;

export async function replaceRound(site: BackupSite, tenant: string): Promise<ReplaceOutcome> {
  const { writers } = site;
  const atMs = site.instant(tenant);
  if (atMs === undefined) return { violations: [], text: `${tenant} has no instant to go back to` };
  await site.archived(tenant, atMs);
  const violations: Violation[] = [];
  const fromMs = Date.now();
  const restored = await site.run(['restore', '--tenant', tenant, '--at', iso(atMs), '--replace', '--json']);
  const toMs = Date.now();
  if (restored.code !== 0)
    return failed(`${tenant} could not be replaced as of ${iso(atMs)} (${restored.code}): ${restored.stderr}`);
  await sleep(afterMs);
  await writers.stop();
  const pairs = writers.pairsOf(tenant);
  const contents = await readBooks(site.server.address, writers.books(tenant));
  for (const pair of pairs) {
    for (const book of [pair.first, pair.twin])
      violations.push(...book.judgeReplaced(contents.get(book)!, atMs, { fromMs, toMs }));
    // A call whose acknowledgement was undone may have sent its twin's on its way.
    if ([...pair.first.calls, ...pair.twin.calls].every(({ endedMs }) => endedMs < fromMs))
      violations.push(...judgeTwins(pair, contents, atMs, 'after it was replaced'));
  }
  for (const [book, content] of contents) book.settle(content);
  site.blur(tenant, Math.min(fromMs, toMs), Date.now());
  writers.start(site.server.address);
  await sleep(afterMs);
  await site.killAndStart();
  violations.push(...(await judgeLive(site, `after ${tenant} was replaced and the server killed`, true)));
  writers.start(site.server.address);
  // The former line is in the log as it was, as long as the retention keeps a base of it.
  if (site.sinceMs(tenant) < fromMs) violations.push(...(await restoreAt(site, tenant, fromMs)).violations);
  await sleep(afterMs);
  // The server has made a base of the new line, with which the log goes on.
  violations.push(...(await restoreAt(site, tenant, Date.now())).violations);
  return { violations, text: `${tenant} ${Math.round((fromMs - atMs) / 1000)} s back in ${toMs - fromMs} ms` };
}

function failed(text: string): ReplaceOutcome {
  return { violations: [{ kind: 'unavailable', text }], text: 'failed' };
}

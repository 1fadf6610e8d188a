/** The running server's own books, while the writers rest: what was acknowledged is there, and what has no answer is settled. */
import type { Violation } from '../oracle.ts';
import { type BackupSite, tenants } from './backup-site.ts';
import { judgePairs, readBooks } from './reading.ts';

/** Books that a round can have changed; those of earlier rounds were read then. */
const pairsKept = 40;

/** Of all books with `all`. */
export async function judgeLive(site: BackupSite, when: string, all = false): Promise<Violation[]> {
  const violations: Violation[] = [];
  for (const tenant of tenants) {
    const pairs = site.writers.pairsOf(tenant).slice(all ? 0 : -pairsKept);
    const contents = await readBooks(
      site.server.address,
      pairs.flatMap(({ first, twin }) => [first, twin]),
    );
    const nowMs = Date.now();
    violations.push(...judgePairs(pairs, contents, { fromMs: nowMs, toMs: nowMs }, when));
    for (const [book, content] of contents) book.settle(content);
  }
  return violations;
}

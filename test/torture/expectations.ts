/** How a short run of a torture is judged: what must be zero, with the seed that repeats its choices. */
import { fileURLToPath } from 'node:url';
import type { RoundReport } from './report.ts';

export const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);

/** To be compared with `clean(rounds)`. */
export function verdict({ rounds, lost, doubled, changed, unavailable, violations }: RoundReport): unknown {
  const texts = violations.slice(0, 20).map(({ kind, text }) => `${kind}: ${text}`);
  return { seed, rounds, lost, doubled, changed, unavailable, texts };
}

export function clean(rounds: number): unknown {
  return { seed, rounds, lost: 0, doubled: 0, changed: 0, unavailable: 0, texts: [] };
}

export function plantPath(name: string): string {
  return fileURLToPath(new URL(`plants/${name}.ts`, import.meta.url));
}

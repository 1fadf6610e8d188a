/** What a run of rounds is asked for, and what it says at its end. */
import type { Violation } from './oracle.ts';

export interface RoundOptions {
  readonly seed: number;
  readonly rounds: number;
  /** No new round begins after this many milliseconds. */
  readonly msMax?: number;
  readonly dataDir: string;
  /** A module with a planted bug, imported by every thread of the server. */
  readonly plant?: string;
  /** A planted bug was found when one round found it. */
  readonly untilFound?: boolean;
  readonly report?: (line: string) => void;
}

export interface RoundReport {
  rounds: number;
  acknowledged: number;
  unknown: number;
  rejected: number;
  lost: number;
  doubled: number;
  /** Repeats with another answer than the first. */
  changed: number;
  unavailable: number;
  violations: Violation[];
  /** What each round waited for: the server's `ready`, its exit, or the shard that came back. */
  readyMs: number[];
}

export function newReport(): RoundReport {
  return {
    rounds: 0,
    acknowledged: 0,
    unknown: 0,
    rejected: 0,
    lost: 0,
    doubled: 0,
    changed: 0,
    unavailable: 0,
    violations: [],
    readyMs: [],
  };
}

export function addViolations(report: RoundReport, violations: readonly Violation[]): void {
  report.violations.push(...violations);
  for (const { kind } of violations) report[kind] += 1;
}

export function p95(of: readonly number[]): number {
  return [...of].sort((a, b) => a - b)[Math.ceil(of.length * 0.95) - 1] ?? 0;
}

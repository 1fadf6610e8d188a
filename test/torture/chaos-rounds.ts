/**
 * Chaos between the clients and the server, round by round: 50 clients of the shipped kind, a proxy that cuts, stalls and
 * kills connections, and a server that is killed five times, for a minute. Every second round has two gateway threads.
 *
 * What must hold: every call took effect once, in order · every client sees the rooms as they are, and saw every event once
 * and in order · who is present is there · nobody was told of anything else. How that is judged: chaos/judge.ts and
 * chaos/room-watch.ts.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Violation } from './oracle.ts';
import { fullStorm, type StormSize } from './chaos/size.ts';
import { Storm } from './chaos/storm.ts';
import { addViolations, newReport, type RoundOptions, type RoundReport } from './report.ts';

export interface ChaosOptions extends RoundOptions {
  /** By default the full one. */
  readonly size?: StormSize;
}

export interface ChaosReport extends RoundReport {
  kills: number;
  /** Faults of connections, by kind. */
  faults: Record<string, number>;
  /** Events and states that clients were told and that were checked. */
  events: number;
  states: number;
  /** Connections that went on with the session of a former one, and those that could not. */
  resumed: number;
  anew: number;
  /** Calls that were refused for a time, and were made again. */
  refused: number;
  healMs: number[];
}

/** Lines per round. */
const violationsTold = 20;

export async function runChaosRounds(options: ChaosOptions): Promise<ChaosReport> {
  const { rounds, msMax = Number.POSITIVE_INFINITY, untilFound = false } = options;
  const report: ChaosReport = {
    ...newReport(),
    kills: 0,
    faults: {},
    events: 0,
    states: 0,
    resumed: 0,
    anew: 0,
    refused: 0,
    healMs: [],
  };
  const unhandled: Violation[] = [];
  const onUnhandled = (error: unknown): void => {
    unhandled.push({ kind: 'unavailable', text: `a rejection that nobody handled: ${String(error)}` });
  };
  process.on('unhandledRejection', onUnhandled);
  const endMs = performance.now() + msMax;
  try {
    for (let round = 0; round < rounds && performance.now() < endMs; round += 1) {
      await runRound(round, options, report);
      addViolations(report, unhandled.splice(0));
      if (untilFound && report.violations.length > 0) break;
    }
  } finally {
    process.off('unhandledRejection', onUnhandled);
  }
  return report;
}

async function runRound(round: number, options: ChaosOptions, report: ChaosReport): Promise<void> {
  const { size = fullStorm, seed, plant, report: tell } = options;
  const dataDir = join(options.dataDir, `chaos-${round}`);
  mkdirSync(dataDir, { recursive: true });
  const gateways = 1 + (round % 2);
  const storm = await Storm.start({ size, seed: seed + round, dataDir, gateways, plant });
  try {
    await storm.run();
  } finally {
    await storm.end();
  }
  const { clients, proxy, violations } = storm;
  const calls = clients.flatMap((client) => client.calls);
  const watches = clients.flatMap((client) => client.watches);
  const fates = (fate: string): number => calls.filter((call) => call.fate === fate).length;
  const events = sum(watches.map((watch) => watch.events));
  const states = sum(watches.map((watch) => watch.states));
  const resumed = sum(clients.map(({ overheard }) => overheard.resumed));
  const anew = sum(clients.map(({ overheard }) => overheard.anew));
  const refused = sum(clients.map(({ overheard }) => overheard.refused.size));
  report.rounds += 1;
  report.acknowledged += fates('ok');
  report.unknown += fates('unknown');
  report.rejected += fates('rejected');
  report.kills += storm.kills;
  report.events += events;
  report.states += states;
  report.resumed += resumed;
  report.anew += anew;
  report.refused += refused;
  report.readyMs.push(...storm.readyMs);
  report.healMs.push(storm.healMs);
  for (const [fault, times] of Object.entries(proxy.counts)) report.faults[fault] = (report.faults[fault] ?? 0) + times;
  addViolations(report, violations);
  const faults = Object.entries(proxy.counts).map(([fault, times]) => `${times} ${fault}`);
  const gaps = sum(watches.map((watch) => watch.gapsAllowed));
  const snapshots = sum(clients.map(({ overheard }) => overheard.snapshots));
  tell?.(`round ${round + 1}, ${gateways} gateways, ${clients.length} clients, ${storm.kills} kills`);
  tell?.(
    `  ${calls.length} calls: ${fates('ok')} ok, ${fates('unknown')} unknown, ${fates('rejected')} rejected; ${refused} made again after a refusal`,
  );
  tell?.(
    `  ${proxy.connections} connections, ${resumed} into the old session, ${anew} without; faults: ${faults.join(', ')}`,
  );
  tell?.(
    `  ${events} events and ${states} states checked, ${snapshots} snapshots, ${gaps} gaps before the first event`,
  );
  tell?.(`  healed in ${Math.round(storm.healMs)} ms, ${violations.length} violations`);
  for (const { kind, text } of violations.slice(0, violationsTold)) tell?.(`  ${kind}: ${text}`);
}

function sum(of: readonly number[]): number {
  return of.reduce((total, each) => total + each, 0);
}

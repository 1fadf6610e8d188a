/**
 * A rollout of a cluster under load, round by round: each runtime is stopped and started again, then each gateway, one at a
 * time. Callers of the shipped client, numbered calls and all, and callers over HTTP with keys; each watches its own list.
 *
 * What must hold: every process ends with 0 · no caller hears of a runtime's restart: no connection is lost, no call fails ·
 * clients of a gateway that stops come back by themselves, to whom a balancer leads them · every call took effect once and in
 * order, and every subscriber saw the state as it is.
 */
import { Cluster, type Member } from '../support/cluster.ts';
import { KeyedLoad } from '../support/keyed-load.ts';
import { eventually } from '../support/wait.ts';
import type { ClusterRoundOptions } from './cluster-run.ts';
import type { Violation } from './oracle.ts';
import { addViolations, newReport, type RoundReport } from './report.ts';

export interface RolloutOptions extends ClusterRoundOptions {
  /** By default 200, and 20 over HTTP. */
  readonly clients?: number;
}

export interface RolloutReport extends RoundReport {
  /** Milliseconds of the slowest call while a runtime was away, for each restart. */
  runtimeStallsMs: number[];
  /** The same for gateways. */
  gatewayStallsMs: number[];
  /** The slowest call of them all. */
  longestPauseMs: number;
  /** Connections that were lost, all of them to a gateway that stopped. */
  reconnects: number;
}

const comeBackMsMax = 30_000;

export async function runRolloutRounds(options: RolloutOptions): Promise<RolloutReport> {
  const { dataDir } = options;
  const cluster = await Cluster.start({ app: 'ledger', ...(dataDir === undefined ? {} : { dataDir }) });
  try {
    return await new Rollout(options, cluster).run();
  } finally {
    await cluster.end();
  }
}

class Rollout {
  readonly #options: RolloutOptions;
  readonly #cluster: Cluster;
  readonly #violations: Violation[] = [];
  readonly #report: RolloutReport = {
    ...newReport(),
    runtimeStallsMs: [],
    gatewayStallsMs: [],
    longestPauseMs: 0,
    reconnects: 0,
  };

  constructor(options: RolloutOptions, cluster: Cluster) {
    this.#options = options;
    this.#cluster = cluster;
  }

  async run(): Promise<RolloutReport> {
    const { rounds, clients = 200, msMax = Number.POSITIVE_INFINITY } = this.#options;
    const endMs = performance.now() + msMax;
    const { gateways } = this.#cluster;
    const load = await KeyedLoad.start({
      targets: gateways.map(({ address }) => ({ address, WebSocket: this.#cluster.WebSocket })),
      tenants: await this.#cluster.tenants(8),
      sockets: clients,
      http: Math.ceil(clients / 10),
      pauseMs: clients,
    });
    try {
      for (let round = 0; round < rounds && performance.now() < endMs; round += 1) await this.#round(round, load);
      await load.finish();
    } finally {
      load.close();
    }
    for (const text of load.faults) this.#violations.push({ kind: 'lost', text });
    addViolations(this.#report, this.#violations);
    this.#report.longestPauseMs = Math.round(
      Math.max(...this.#report.runtimeStallsMs, ...this.#report.gatewayStallsMs),
    );
    this.#report.acknowledged = load.acked;
    return this.#report;
  }

  async #round(round: number, load: KeyedLoad): Promise<void> {
    const { clients = 200, report: tell } = this.#options;
    const report = this.#report;
    await load.progress(1);
    const before = load.losses;
    for (const runtime of this.#cluster.runtimes) report.runtimeStallsMs.push(await this.#restart(runtime, load));
    if (load.losses > before)
      this.#violations.push({ kind: 'unavailable', text: `${load.losses - before} connections were lost to runtimes` });
    for (const gateway of this.#cluster.gateways) {
      report.gatewayStallsMs.push(await this.#restart(gateway, load));
      await eventually('all clients are connected', () => load.connected === clients, comeBackMsMax);
    }
    report.reconnects += load.losses - before;
    report.rounds += 1;
    const text = (stalls: readonly number[]) => stalls.slice(-2).map(Math.round).join(' and ');
    const memory = this.#cluster.members.map(({ residentMb }) => Math.round(residentMb)).join(' ');
    tell?.(
      `round ${round + 1}: ${load.acked} acknowledged; slowest call ${text(report.runtimeStallsMs)} ms at runtimes, ` +
        `${text(report.gatewayStallsMs)} ms at gateways; ${load.losses - before} reconnects, ${load.repeats} repeats over HTTP; ` +
        `${memory} MiB`,
    );
  }

  /** Returns the milliseconds of the slowest call. */
  async #restart(member: Member, load: KeyedLoad): Promise<number> {
    load.longestMs = 0;
    const { process } = member;
    const exit = await member.term();
    if (exit.code !== 0)
      this.#violations.push({
        kind: 'unavailable',
        text: `a ${member.side} ended with ${JSON.stringify(exit)}: ${process.output.slice(-3000)}`,
      });
    const startedMs = performance.now();
    await member.start();
    this.#report.readyMs.push(performance.now() - startedMs);
    await load.progress(2, comeBackMsMax);
    return load.longestMs;
  }
}

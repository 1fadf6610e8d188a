/**
 * What rounds against a cluster have in common: actors of several tenants on both runtimes, a load through both gateways, and
 * the oracle that is asked when all is well again.
 */
import { Cluster } from '../support/cluster.ts';
import { getState } from '../support/http.ts';
import { KeyedLoad } from '../support/keyed-load.ts';
import { mint } from '../support/token.ts';
import { eventually } from '../support/wait.ts';
import { checkAgainst } from './check.ts';
import { Load } from './load.ts';
import { ActorLog, type Violation } from './oracle.ts';
import { addViolations, newReport, type RoundOptions, type RoundReport } from './report.ts';
import { SeededRandom } from './seeded-random.ts';

/** Without a data directory, there is a temporary one. */
export type ClusterRoundOptions = Omit<RoundOptions, 'dataDir'> & { readonly dataDir?: string };

export interface ClusterReport extends RoundReport {
  /** Milliseconds from the end of the fault until every tenant was served. */
  healMs: number[];
  /** The slowest call of a client that repeats by itself. */
  longestPauseMs: number;
  /** Mebibytes of the process that had most, at the beginning and at the end. */
  residentMb: [first: number, last: number];
}

const tenantCount = 4;
const countersPerTenant = 4;
const connectionsPerGateway = 6;
const repeatsPerRound = 40;
const healMsMax = 60_000;
/** Calls that nobody can answer end after this long, not after half a minute. */
const callMsMax = 5000;
/** A process that keeps what it cannot hand on would grow by more than this. */
const growthMbMax = 250;

export class ClusterRun {
  readonly cluster: Cluster;
  readonly random: SeededRandom;
  readonly violations: Violation[] = [];
  readonly report: ClusterReport = { ...newReport(), healMs: [], longestPauseMs: 0, residentMb: [0, 0] };
  readonly tenants: readonly string[];
  /** Of the shipped kind: they repeat by themselves, and must see nothing but calls that take longer. */
  readonly #clients: KeyedLoad;
  readonly #counters: ActorLog[];
  #lists: ActorLog[] = [];
  #round = 0;

  static async start({ seed, dataDir }: ClusterRoundOptions): Promise<ClusterRun> {
    const gatewayArgs = ['--limit', `remoteCallMsMax=${callMsMax}`];
    const cluster = await Cluster.start({ app: 'ledger', gatewayArgs, ...(dataDir === undefined ? {} : { dataDir }) });
    try {
      const tenants = await cluster.tenants(tenantCount);
      const clients = await KeyedLoad.start({ targets: cluster.gateways, tenants, sockets: 8, http: 4, pauseMs: 100 });
      return new ClusterRun(cluster, seed, tenants, clients);
    } catch (error) {
      await cluster.end();
      throw error;
    }
  }

  private constructor(cluster: Cluster, seed: number, tenants: readonly string[], clients: KeyedLoad) {
    this.cluster = cluster;
    this.#clients = clients;
    this.random = new SeededRandom(seed);
    this.tenants = tenants;
    this.#counters = tenants.flatMap((tenant) =>
      Array.from({ length: countersPerTenant }, (_, n) => new ActorLog('counter', tenant, `c${n}`)),
    );
  }

  /** Runs `fault` in the middle of a load, and compares. Settles when all is well again. Returns the round in a few words. */
  async round(fault: () => Promise<void>): Promise<string> {
    const { report, violations, random } = this;
    const before = violations.length;
    this.#lists = this.tenants.map((tenant) => new ActorLog('list', tenant, `l${this.#round}`));
    this.#round += 1;
    const actors = [...this.#counters, ...this.#lists];
    const loads = this.cluster.gateways.map(
      ({ address }) =>
        new Load({ address, actors, connections: connectionsPerGateway, window: 4, pauseMsMax: 10, random }),
    );
    for (const load of loads) await load.start();
    await Promise.all(loads.map(({ firstAck }) => firstAck));
    report.residentMb[0] ||= this.#mostMb();
    await fault();
    const healMs = await this.#heal();
    await this.#clients.progress(1, healMsMax);
    for (const load of loads) await load.stop();
    violations.push(...loads.flatMap((load) => load.violations));
    if (loads.some(({ lost }) => lost > 0))
      violations.push({ kind: 'unavailable', text: 'a gateway that went on has lost connections' });
    await checkAgainst(this.cluster.gateways[this.#round % 2]!.address, actors, {
      violations,
      random,
      repeats: repeatsPerRound,
    });
    report.residentMb[1] = this.#mostMb();
    if (report.residentMb[1] - report.residentMb[0] > growthMbMax)
      violations.push({
        kind: 'unavailable',
        text: `memory grew: ${report.residentMb.map(Math.round).join(' to ')} MiB`,
      });
    report.healMs.push(healMs);
    report.rounds += 1;
    for (const { acked, unknown, rejected } of loads) {
      report.acknowledged += acked;
      report.unknown += unknown;
      report.rejected += rejected;
    }
    const sum = (of: 'acked' | 'unknown' | 'rejected') => loads.reduce((all, load) => all + load[of], 0);
    addViolations(report, violations.slice(before));
    return (
      `${sum('acked')} acknowledged, ${sum('unknown')} unknown, ${sum('rejected')} rejected, ` +
      `well again after ${Math.round(healMs)} ms, ${Math.round(report.residentMb[1])} MiB` +
      violations
        .slice(before, before + 5)
        .map(({ kind, text }) => `\n  ${kind}: ${text}`)
        .join('')
    );
  }

  /** After the last round. */
  async finish(): Promise<ClusterReport> {
    await this.#clients.finish();
    const { faults, losses, acked, longestMs } = this.#clients;
    const found = faults.map((text): Violation => ({ kind: 'lost', text }));
    if (losses > 0) found.push({ kind: 'unavailable', text: `clients have lost ${losses} connections` });
    addViolations(this.report, found);
    this.report.acknowledged += acked;
    this.report.longestPauseMs = Math.round(longestMs);
    return this.report;
  }

  async end(): Promise<void> {
    this.#clients.close();
    await this.cluster.end();
  }

  /** Milliseconds until each tenant is served through each gateway, and everybody says that he is well. */
  async #heal(): Promise<number> {
    const fromMs = performance.now();
    for (const gateway of this.cluster.gateways) {
      await gateway.becomes('/health', 200, healMsMax);
      for (const tenant of this.tenants) {
        const token = await mint({ tenant, sub: 'healer' });
        const isServed = async () => (await getState(gateway.address, 'counter', 'c0', { token })).status === 200;
        await eventually(`${tenant} is served`, isServed, healMsMax);
      }
    }
    return performance.now() - fromMs;
  }

  #mostMb(): number {
    return Math.max(...this.cluster.members.map(({ residentMb }) => residentMb));
  }
}

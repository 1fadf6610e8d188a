/**
 * Kill -9 under load, round by round: load, kill, start again on the same data, compare with the oracle, repeat what is
 * unknown, compare again, and repeat old keys, which must change nothing.
 *
 *   plain      killed at a random moment                 50 %
 *   recovery   and again while it starts                 20 %
 *   drain      killed while it obeys a SIGTERM           15 %
 *   eviction   killed while actors leave memory          15 %
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ServerProcess } from '../support/server.ts';
import { checkAgainst } from './check.ts';
import { Load } from './load.ts';
import { ActorLog } from './oracle.ts';
import { addViolations, newReport, type RoundOptions, type RoundReport } from './report.ts';
import { SeededRandom } from './seeded-random.ts';

export type RoundKind = 'plain' | 'recovery' | 'drain' | 'eviction';

export interface KillReport extends RoundReport {
  /** Actors that left memory in the rounds that are about it. */
  evictions: number;
}

const tenants = ['acme', 'bolt', 'crux', 'dune'];
const countersPerTenant = 8;
const connections = 16;
const killMsMax = 1500;
const secondKillMsMax = 300;
const repeatsPerRound = 100;
/** Lists start afresh after so many rounds, so that appending stays cheap. */
const roundsPerList = 5;
const deck: readonly RoundKind[] = [
  ...Array<RoundKind>(10).fill('plain'),
  ...Array<RoundKind>(4).fill('recovery'),
  ...Array<RoundKind>(3).fill('drain'),
  ...Array<RoundKind>(3).fill('eviction'),
];

/** Of each kind at least one, for a short run. */
const shortDeck: readonly RoundKind[] = ['plain', 'plain', 'plain', 'recovery', 'drain', 'eviction'];

export async function runKillRounds(options: RoundOptions): Promise<KillReport> {
  const run = new KillRun(options);
  try {
    return await run.run();
  } finally {
    await run.end();
  }
}

class KillRun {
  readonly #options: RoundOptions;
  readonly #random: SeededRandom;
  readonly #counters: ActorLog[] = [];
  #lists: ActorLog[] = [];
  #kinds: RoundKind[] = [];
  #server: ServerProcess | undefined;
  readonly #report: KillReport = { ...newReport(), evictions: 0 };

  constructor(options: RoundOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    for (const tenant of tenants) {
      for (let n = 0; n < countersPerTenant; n += 1) this.#counters.push(new ActorLog('counter', tenant, `c${n}`));
    }
  }

  async run(): Promise<KillReport> {
    const { rounds, msMax = Number.POSITIVE_INFINITY, untilFound = false } = this.#options;
    const endMs = performance.now() + msMax;
    let kind = this.#draw();
    for (let round = 0; round < rounds && performance.now() < endMs; round += 1) {
      if (round % roundsPerList === 0) this.#lists = tenants.map((tenant) => new ActorLog('list', tenant, `l${round}`));
      const next = this.#draw();
      await this.#round(round, kind, next);
      kind = next;
      if (untilFound && this.#report.violations.length > 0) break;
    }
    return this.#report;
  }

  async end(): Promise<void> {
    await this.#server?.kill9();
  }

  #draw(): RoundKind {
    if (this.#kinds.length === 0)
      this.#kinds = this.#random.shuffle(this.#options.rounds < deck.length ? shortDeck : deck);
    return this.#kinds.pop()!;
  }

  /** The server that comes up in this round carries the load of the next. */
  async #round(round: number, kind: RoundKind, next: RoundKind): Promise<void> {
    const report = this.#report;
    const before = report.violations.length;
    const killMs = this.#random.next() * killMsMax;
    const load = await this.#loadAndKill(kind, killMs);
    const violations = [...load.violations];
    this.#server = this.#launch(next);
    if (kind === 'recovery') await this.#killAgain(next);
    await this.#ready();
    await checkAgainst(this.#server.address, [...this.#counters, ...this.#lists], {
      violations,
      random: this.#random,
      repeats: repeatsPerRound,
    });
    report.rounds += 1;
    report.acknowledged += load.acked;
    report.unknown += load.unknown;
    report.rejected += load.rejected;
    addViolations(report, violations);
    const facts = `${load.acked} acknowledged, ${load.unknown} unknown, ${load.rejected} rejected`;
    const found = report.violations.length - before;
    this.#options.report?.(
      `round ${round + 1} ${kind} after ${Math.round(killMs)} ms: ${facts}, ready in ${Math.round(report.readyMs.at(-1)!)} ms` +
        (found === 0 ? '' : `, ${found} violations`),
    );
    for (const { kind: what, text } of violations.slice(0, 5)) this.#options.report?.(`  ${what}: ${text}`);
  }

  /** Settles when the server is dead and every call has its end. */
  async #loadAndKill(kind: RoundKind, killMs: number): Promise<Load> {
    const server = (this.#server ??= await this.#launch(kind).ready());
    const isEviction = kind === 'eviction';
    const load = new Load({
      address: server.address,
      actors: [...this.#counters, ...this.#lists],
      connections,
      window: isEviction ? 1 : 4,
      pauseMsMax: isEviction ? 400 : 0,
      random: this.#random,
    });
    await load.start();
    await load.firstAck;
    // Actors are looked at for eviction once a second.
    await sleep(isEviction ? killMs + 1000 : killMs);
    if (kind === 'drain') {
      server.signal('SIGTERM');
      await sleep(this.#secondKillMs());
    }
    await server.kill9();
    await load.stop();
    if (isEviction) this.#report.evictions += server.logs.filter(({ msg }) => msg === 'left memory').length;
    return load;
  }

  #launch(kind: RoundKind): ServerProcess {
    const { dataDir, plant } = this.#options;
    const idle = kind === 'eviction' ? ['--limit', 'actorIdleMs=100'] : [];
    return new ServerProcess({
      app: 'ledger',
      dataDir,
      args: ['--shards', '2', '--log-level', 'info', ...limits, ...idle],
      ...(plant === undefined ? {} : { preload: plant }),
    });
  }

  async #killAgain(next: RoundKind): Promise<void> {
    const server = this.#server!;
    await server.logged(({ msg }) => msg === 'app loaded');
    await sleep(this.#secondKillMs());
    await server.kill9();
    this.#server = this.#launch(next);
  }

  /** Mostly early: what it is to interrupt is often over within a few dozen milliseconds. */
  #secondKillMs(): number {
    return this.#random.next() ** 3 * secondKillMsMax;
  }

  async #ready(): Promise<void> {
    const server = this.#server!;
    await server.ready();
    this.#report.readyMs.push(performance.now() - server.startedMs);
  }
}

const limits = ['--limit', 'messagesPerSecond=0', '--limit', 'messagesBurst=0'];

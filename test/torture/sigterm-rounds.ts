/**
 * SIGTERM under load, round by round, at a random moment, while some clients do not read.
 *
 * What must hold: exit 0 · every client that reads sees the server's close (1012), never a connection that just ends · a call
 * of such a client that got no answer has not happened · nothing acknowledged is lost · no -wal holds anything afterwards.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BaseClient } from '../support/base-client.ts';
import { ServerProcess } from '../support/server.ts';
import { mint } from '../support/token.ts';
import { checkAgainst } from './check.ts';
import { Load } from './load.ts';
import { ActorLog, type Violation } from './oracle.ts';
import { addViolations, newReport, type RoundOptions, type RoundReport } from './report.ts';
import { SeededRandom } from './seeded-random.ts';

const tenants = ['acme', 'bolt'];
const connections = 12;
/** Answers of 20 kB that each client waits for without reading. */
const deafCalls = [200, 20] as const;
const signalMsMax = 1500;
const closed = 1012;

export async function runSigtermRounds(options: RoundOptions): Promise<RoundReport> {
  const run = new SigtermRun(options);
  try {
    return await run.run();
  } finally {
    await run.end();
  }
}

class SigtermRun {
  readonly #options: RoundOptions;
  readonly #random: SeededRandom;
  readonly #counters = tenants.flatMap((tenant) =>
    Array.from({ length: 8 }, (_, n) => new ActorLog('counter', tenant, `c${n}`)),
  );
  readonly #report = newReport();
  #server: ServerProcess | undefined;

  constructor(options: RoundOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
  }

  async run(): Promise<RoundReport> {
    const { rounds, msMax = Number.POSITIVE_INFINITY, untilFound = false } = this.#options;
    const endMs = performance.now() + msMax;
    this.#server = await this.#launch().ready();
    for (let round = 0; round < rounds && performance.now() < endMs; round += 1) {
      await this.#round(round);
      if (untilFound && this.#report.violations.length > 0) break;
    }
    return this.#report;
  }

  async end(): Promise<void> {
    await this.#server?.kill9();
  }

  async #round(round: number): Promise<void> {
    const server = this.#server!;
    const lists = tenants.map((tenant) => new ActorLog('list', tenant, `l${round}`));
    const actors = [...this.#counters, ...lists];
    const violations: Violation[] = [];
    const deaf = await this.#connectDeaf(server, round);
    const load = new Load({
      address: server.address,
      actors,
      connections,
      window: 4,
      pauseMsMax: 2,
      random: this.#random,
    });
    await load.start();
    await load.firstAck;
    const signalMs = this.#random.next() * signalMsMax;
    await sleep(signalMs);
    const asked = performance.now();
    const exit = await server.term();
    const stopMs = performance.now() - asked;
    const ends = await load.ends();
    await load.stop();
    for (const client of deaf) client.socket.terminate();
    violations.push(...load.violations);
    if (exit.code !== 0) violations.push({ kind: 'unavailable', text: `it ended with ${JSON.stringify(exit)}` });
    for (const { code, why } of ends.filter((end) => end.code !== closed))
      violations.push({ kind: 'unavailable', text: `a client saw ${code}: ${why}` });
    const left = walBytes(server.dataDir);
    if (left > 0) violations.push({ kind: 'unavailable', text: `${left} bytes are left in -wal files` });
    // A call that was never answered must not have happened: its answer would have been delivered first.
    for (const { calls } of actors) for (const sent of calls) if (sent.fate === 'unknown') sent.fate = 'rejected';
    this.#server = await this.#launch().ready();
    await checkAgainst(this.#server.address, actors, { violations, random: this.#random, repeats: 20 });
    const report = this.#report;
    report.rounds += 1;
    report.acknowledged += load.acked;
    report.unknown += load.unknown;
    report.rejected += load.rejected;
    report.readyMs.push(stopMs);
    addViolations(report, violations);
    this.#options.report?.(
      `round ${round + 1} after ${Math.round(signalMs)} ms: ${load.acked} acknowledged, ${load.unknown} unanswered and not run, ${load.rejected} rejected, stopped in ${Math.round(stopMs)} ms` +
        (violations.length === 0 ? '' : `, ${violations.length} violations`),
    );
    for (const { kind, text } of violations.slice(0, 5)) this.#options.report?.(`  ${kind}: ${text}`);
  }

  /** Clients that read nothing of what they asked for: too much for the server's buffers, and less than that. */
  async #connectDeaf(server: ServerProcess, round: number): Promise<BaseClient[]> {
    const clients: BaseClient[] = [];
    for (const [n, calls] of deafCalls.entries()) {
      const token = await mint({ tenant: tenants[n % tenants.length]!, sub: `deaf-${n}` });
      const client = await BaseClient.connect(server.address, { token, v1: true });
      const actorId = `deaf-${round}-${n}`;
      const entry = 'x'.repeat(20_000);
      await client.call({ actor: 'list', actorId, method: 'append', input: { entry } });
      client.pause();
      for (let call = 0; call < calls; call += 1)
        client.send({ type: 'rpc', id: `d${call}`, actor: 'list', actorId, method: 'entries' });
      clients.push(client);
    }
    return clients;
  }

  #launch(): ServerProcess {
    const { dataDir, plant } = this.#options;
    return new ServerProcess({
      app: 'ledger',
      dataDir,
      args: ['--shards', '2', '--limit', 'messagesPerSecond=0', '--limit', 'messagesBurst=0'],
      ...(plant === undefined ? {} : { preload: plant }),
    });
  }
}

function walBytes(dataDir: string): number {
  const files = readdirSync(dataDir, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('-wal'));
  return files.reduce((bytes, name) => bytes + statSync(join(dataDir, name)).size, 0);
}

/**
 * Faults of an author's code, one each round, in an actor of shard 0, while an actor of shard 1 is called all the time.
 *
 * What must hold each time: the process lives · the caller gets one answer, at most a second after its shard died · the
 * other shard answers every call · the shard serves again, with exactly what was acknowledged · a subscriber of the state
 * gets it anew on its open socket.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { shardOf } from '../../src/protocol/placement.ts';
import { BaseClient, type Reply } from '../support/base-client.ts';
import { type LogLine, ServerProcess } from '../support/server.ts';
import { mint } from '../support/token.ts';
import { eventually } from '../support/wait.ts';
import { addViolations, newReport, type RoundOptions, type RoundReport } from './report.ts';
import type { Violation } from './oracle.ts';

interface Expected {
  readonly outcomes: readonly string[];
  /** What happens to the shard. */
  readonly dies: 'always' | 'never' | 'maybe';
}

const crash: Expected = { outcomes: ['unknown'], dies: 'always' };
const late: Expected = { outcomes: ['ok', 'unknown'], dies: 'always' };
const failure: Expected = { outcomes: ['failed'], dies: 'never' };

/** The methods of apps/faults.ts, and how each may end. */
export const faults = {
  exit: crash,
  exitLater: late,
  throwLater: late,
  rejectUnawaited: { outcomes: ['ok'], dies: 'never' },
  loop: crash,
  heap: crash,
  stack: failure,
  hang: failure,
  unserialisable: failure,
  /** Past the bound on results; the heap's own may come first. */
  fiftyMegabytes: { outcomes: ['failed', 'unknown'], dies: 'maybe' },
  buffers: { outcomes: ['ok'], dies: 'never' },
} as const satisfies Readonly<Record<string, Expected>>;

export type Fault = keyof typeof faults;

const answerMsMax = 1000;
const backMsMax = 10_000;
const addsPerRound = 5;
export const faultArgs = ['--shards', '2', '--limit', 'turnMs=1000', '--limit', 'shardHeapMbMax=96'];

export const victim = idOn(0);
export const witness = idOn(1);

function idOn(shard: number): string {
  for (let n = 0; ; n += 1) if (shardOf('acme', 'faults', `f${n}`, 2) === shard) return `f${n}`;
}

/** `rounds` rounds, the faults in turn. `readyMs` holds how long the shard was away each time. */
export async function runFaultRounds(turns: readonly Fault[], options: RoundOptions): Promise<RoundReport> {
  const run = new FaultRun(turns, options);
  try {
    return await run.run();
  } finally {
    await run.end();
  }
}

class FaultRun {
  readonly #turns: readonly Fault[];
  readonly #options: RoundOptions;
  readonly #server: ServerProcess;
  readonly #report = newReport();
  /** What the victim's count must be. */
  #owed = 0;
  #witnessed = 0;
  #ending = false;

  constructor(turns: readonly Fault[], options: RoundOptions) {
    const { dataDir, plant } = options;
    this.#turns = turns;
    this.#options = options;
    this.#server = new ServerProcess({
      app: 'faults',
      dataDir,
      args: faultArgs,
      ...(plant === undefined ? {} : { preload: plant }),
    });
  }

  async run(): Promise<RoundReport> {
    const { rounds, msMax = Number.POSITIVE_INFINITY, untilFound = false } = this.#options;
    const endMs = performance.now() + msMax;
    await this.#server.ready();
    const caller = await this.#connect();
    const subscriber = await this.#connect();
    await subscriber.subscribe('faults', victim);
    const violations: Violation[] = [];
    const witnessing = this.#witness(await this.#connect(), violations);
    for (let round = 0; round < rounds && performance.now() < endMs; round += 1) {
      await this.#round(round, caller, subscriber, violations);
      this.#report.rounds += 1;
      if (untilFound && violations.length > 0) break;
    }
    this.#ending = true;
    await witnessing;
    if (this.#report.acknowledged === 0) violations.push({ kind: 'unavailable', text: 'nothing was acknowledged' });
    this.#report.acknowledged += this.#witnessed;
    addViolations(this.#report, violations);
    return this.#report;
  }

  async end(): Promise<void> {
    this.#ending = true;
    await this.#server.kill9();
  }

  async #round(round: number, caller: BaseClient, subscriber: BaseClient, violations: Violation[]): Promise<void> {
    const fault = this.#turns[round % this.#turns.length]!;
    const { outcomes, dies }: Expected = faults[fault];
    const wrong = (text: string): void => {
      violations.push({ kind: 'unavailable', text: `${fault} ${round + 1}: ${text}` });
      this.#options.report?.(`  ${fault} ${round + 1}: ${text}`);
    };
    for (let n = 0; n < addsPerRound; n += 1) await this.#add(caller, wrong, violations);
    const logged = this.#server.logs.length;
    const framed = subscriber.frames.length;
    const witnessed = this.#witnessed;
    // A key of its own each time: the same call would be quarantined after the third.
    const answer = caller
      .call({ actor: 'faults', actorId: victim, method: fault, key: `${fault} ${round}` })
      .then((reply) => ({ reply, atMs: performance.now() }))
      .catch((error: unknown) => ({ reply: { outcome: String(error) }, atMs: performance.now() }));
    const death = (line: LogLine): boolean =>
      line.msg?.startsWith('a shard died') === true && this.#server.logs.indexOf(line) >= logged;
    if (dies === 'maybe') await answer;
    let diedMs: number | undefined;
    if (dies === 'always' || (dies === 'maybe' && this.#server.logs.some(death))) {
      await this.#server.logged(death, 20_000);
      diedMs = performance.now();
    }
    const { reply, atMs } = await answer;
    if (!outcomes.includes(reply.outcome ?? '')) wrong(`answered ${reply.outcome}`);
    if (diedMs === undefined) return;
    if (atMs - diedMs > answerMsMax) wrong(`answered ${Math.round(atMs - diedMs)} ms after the shard's death`);
    const back = (line: LogLine): boolean =>
      line.msg === 'the shard serves again' && this.#server.logs.indexOf(line) >= logged;
    await this.#server.logged(back, backMsMax);
    this.#report.readyMs.push(performance.now() - diedMs);
    if (this.#witnessed === witnessed) wrong('the other shard answered nothing meanwhile');
    const snapshot = await subscriber.until(({ type }) => type === 'state:snapshot', framed, 5000).catch(String);
    const state = typeof snapshot === 'string' ? snapshot : JSON.stringify(snapshot['state']);
    if (state !== JSON.stringify({ count: this.#owed })) wrong(`${this.#owed} were owed, the subscriber saw ${state}`);
    await this.#add(caller, wrong, violations);
  }

  /** Until the server takes it; `unknown` cannot be, because nothing happens to the shard meanwhile. */
  async #add(caller: BaseClient, wrong: (text: string) => void, violations: Violation[]): Promise<void> {
    const reply = await eventually<Reply>('a call is accepted', async () => {
      const got = await caller.call({ actor: 'faults', actorId: victim, method: 'add' });
      return got.outcome === 'rejected' ? undefined! : got;
    });
    if (reply.outcome !== 'ok') wrong(`adding ended ${reply.outcome}: ${reply.error}`);
    else this.#report.acknowledged += 1;
    const count = reply.result as number;
    const text = `${count} where ${this.#owed + 1} was due`;
    if (reply.outcome === 'ok' && count <= this.#owed) violations.push({ kind: 'lost', text });
    if (reply.outcome === 'ok' && count > this.#owed + 1) violations.push({ kind: 'doubled', text });
    this.#owed = reply.outcome === 'ok' ? count : this.#owed;
  }

  /** One call after the other; each must be answered with the next number. */
  async #witness(client: BaseClient, violations: Violation[]): Promise<void> {
    for (let count = 1; !this.#ending; count += 1) {
      const end = await client
        .call({ actor: 'faults', actorId: witness, method: 'add' })
        .catch((error: unknown) => ({ outcome: String(error), result: undefined }));
      if (this.#ending) return;
      if (end.outcome !== 'ok' || end.result !== count) {
        violations.push({
          kind: 'unavailable',
          text: `the other shard answered ${JSON.stringify(end)}`,
        });
        return;
      }
      this.#witnessed += 1;
      await sleep(2);
    }
  }

  async #connect(): Promise<BaseClient> {
    return await BaseClient.connect(this.#server.address, { token: await mint(), v1: true });
  }
}

/**
 * The load: connections that call as fast as they are answered, and write into the oracle what they were told.
 *
 * A call is in the log before it is sent. What the server refused is `rejected`; a lost connection, and an answer that says
 * so, is `unknown`; everything else must be an acknowledgement.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BaseClient, LostError } from '../support/base-client.ts';
import { mint } from '../support/token.ts';
import type { ActorLog, Sent, Violation } from './oracle.ts';
import type { SeededRandom } from './seeded-random.ts';

export interface LoadOptions {
  readonly address: string;
  readonly actors: readonly ActorLog[];
  readonly connections: number;
  /** Calls that each connection has in flight. */
  readonly window: number;
  /** Milliseconds between an answer and the next call: 0 to this. */
  readonly pauseMsMax: number;
  readonly random: SeededRandom;
}

export class Load {
  /** Settles with the first acknowledgement. */
  readonly firstAck: Promise<void>;
  readonly violations: Violation[] = [];
  acked = 0;
  unknown = 0;
  rejected = 0;
  /** Workers that stopped because their connection had ended. */
  lost = 0;
  readonly #options: LoadOptions;
  readonly #clients: BaseClient[] = [];
  #workers: Promise<void>[] = [];
  #tellFirstAck!: () => void;
  #stopped = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.firstAck = new Promise((resolve) => {
      this.#tellFirstAck = resolve;
    });
  }

  async start(): Promise<void> {
    const { address, connections, window } = this.#options;
    const tenants = [...new Set(this.#options.actors.map(({ tenant }) => tenant))];
    for (let n = 0; n < connections; n += 1) {
      const tenant = tenants[n % tenants.length]!;
      const client = await BaseClient.connect(address, { token: await mint({ tenant, sub: `user-${n}` }), v1: true });
      this.#clients.push(client);
      const actors = this.#options.actors.filter((actor) => actor.tenant === tenant);
      for (let slot = 0; slot < window; slot += 1) this.#workers.push(this.#work(client, actors));
    }
  }

  /** No new calls; settles when every call has its end. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#workers);
    this.#workers = [];
    for (const client of this.#clients.splice(0)) client.socket.terminate();
  }

  /** How each connection ended, when all of them have. */
  async ends(): Promise<{ code: number; why: string }[]> {
    return await Promise.all(
      this.#clients.map(async (client) => {
        const { code } = await client.closed;
        const last = client.frames.at(-1);
        return { code, why: `${client.failure?.message ?? 'no error'} after a frame ${last?.type ?? 'less'}` };
      }),
    );
  }

  async #work(client: BaseClient, actors: readonly ActorLog[]): Promise<void> {
    const { random, pauseMsMax } = this.#options;
    while (!this.#stopped) {
      const actor = random.pick(actors);
      const name = `${actor.id}.${(nextName += 1)}`;
      const sent = actor.send(random.next() < 0.5 ? name : '', name);
      const outcome = await call(client, actor, sent, this.violations);
      this[outcome] += 1;
      if (outcome === 'acked') this.#tellFirstAck();
      // What is over for one call of a connection is over for all of them.
      if (outcome !== 'acked' && !(await isAlive(client))) {
        this.lost += 1;
        return;
      }
      if (pauseMsMax > 0) await sleep(random.below(pauseMsMax));
    }
  }
}

let nextName = 0;

/** Sends a call, or sends it again, and writes down how it ended. */
export async function call(
  client: BaseClient,
  actor: ActorLog,
  sent: Sent,
  violations: Violation[],
): Promise<'acked' | 'rejected' | 'unknown'> {
  const isList = actor.kind === 'list';
  const ask = {
    actor: actor.kind,
    actorId: actor.id,
    method: isList ? 'append' : 'increment',
    ...(isList ? { input: { entry: sent.entry } } : {}),
    // The same id each time, so that the answer to a repeat can be compared letter by letter.
    ...(sent.key === '' ? {} : { key: sent.key, id: sent.key }),
  };
  try {
    const { id, outcome, result, error } = await client.call(ask);
    if (outcome === 'ok') {
      violations.push(...actor.ack(sent, client.textOf(id), result as number));
      return 'acked';
    }
    if (outcome === 'rejected') {
      sent.fate = 'rejected';
      return 'rejected';
    }
    if (outcome !== 'unknown') violations.push({ kind: 'unavailable', text: `${actor.name} answered "${error}"` });
  } catch (failure) {
    if (!(failure instanceof LostError)) throw failure;
  }
  sent.fate = 'unknown';
  return 'unknown';
}

async function isAlive(client: BaseClient): Promise<boolean> {
  return await Promise.race([client.closed.then(() => false), sleep(20).then(() => true)]);
}

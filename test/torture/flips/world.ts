/**
 * A data directory whose whole content is known: made by the shipped command under load, every call of which was answered,
 * and then stopped or killed. What it holds is kept here, for whoever looks at a damaged copy of it.
 *
 *   journal  tenant files hold an older state of each actor; the acknowledged one lies in the journals alone, killed
 *   heavy    the same with so much in the journals that SQLite has moved a part of it out of their WAL
 *   stopped  tenant files after a clean stop
 *   killed   tenant files that the keeper was writing, with their WAL
 */
import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { BaseClient } from '../../support/base-client.ts';
import { ServerProcess } from '../../support/server.ts';
import { mint } from '../../support/token.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { KnownActor } from './known-actor.ts';

export type WorldKind = 'journal' | 'heavy' | 'stopped' | 'killed';

export interface WorldOptions {
  readonly kind: WorldKind;
  readonly dataDir: string;
  readonly random: SeededRandom;
  readonly plant: string | undefined;
}

interface Phase {
  /** Calls to each small actor, and to each large one. */
  readonly calls: number;
  readonly largeCalls: number;
  /** The same again, after a pause in which the keeper writes. */
  readonly bursts: number;
  readonly keeperDelayMs: number;
  readonly end: 'stop' | 'kill';
}

const tenants = ['acme', 'bolt', 'crux', 'dune'];
const smallPerTenant = 5;
const largePerTenant = 2;
const roomsPerTenant = 2;
const largeChars = 16_000;
const neverMs = 600_000;
const burstPauseMs = 120;

const before: Phase = { calls: 6, largeCalls: 3, bursts: 1, keeperDelayMs: 250, end: 'stop' };
const phases: Readonly<Record<WorldKind, readonly Phase[]>> = {
  journal: [before, { calls: 10, largeCalls: 3, bursts: 1, keeperDelayMs: neverMs, end: 'kill' }],
  heavy: [before, { calls: 10, largeCalls: 80, bursts: 1, keeperDelayMs: neverMs, end: 'kill' }],
  stopped: [before, { calls: 10, largeCalls: 5, bursts: 2, keeperDelayMs: 20, end: 'stop' }],
  killed: [before, { calls: 5, largeCalls: 2, bursts: 5, keeperDelayMs: 20, end: 'kill' }],
};

export class World {
  readonly kind: WorldKind;
  readonly dataDir: string;
  readonly actors: KnownActor[] = [];
  /** Calls that were acknowledged while it was made. */
  acknowledged = 0;
  readonly #random: SeededRandom;
  readonly #plant: string | undefined;

  static async make(options: WorldOptions): Promise<World> {
    const world = new World(options);
    mkdirSync(options.dataDir, { recursive: true });
    for (const phase of phases[options.kind]) await world.#run(phase);
    return world;
  }

  private constructor({ kind, dataDir, random, plant }: WorldOptions) {
    this.kind = kind;
    this.dataDir = dataDir;
    this.#random = random;
    this.#plant = plant;
    for (const tenant of tenants) {
      for (let n = 0; n < smallPerTenant; n += 1) this.#add(tenant, 'ledger', `small-${n}`);
      for (let n = 0; n < largePerTenant; n += 1) this.#add(tenant, 'ledger', `large-${n}`);
      for (let n = 0; n < roomsPerTenant; n += 1) this.#add(tenant, 'room', `room-${n}`);
    }
  }

  #add(tenant: string, type: 'ledger' | 'room', id: string): void {
    this.actors.push(new KnownActor(tenant, type, id));
  }

  async #run(phase: Phase): Promise<void> {
    const server = startOn(this.dataDir, this.#plant, ['--limit', `keeperDelayMs=${phase.keeperDelayMs}`]);
    const clients: BaseClient[] = [];
    try {
      await server.ready();
      await Promise.all(tenants.map((tenant) => this.#load(server.address, tenant, phase, clients)));
      if (phase.end === 'kill') await server.kill9();
      else await server.term();
    } finally {
      for (const { socket } of clients) socket.terminate();
      await server.kill9();
    }
  }

  async #load(address: string, tenant: string, phase: Phase, clients: BaseClient[]): Promise<void> {
    const actors = this.actors.filter((actor) => actor.tenant === tenant);
    const rooms = actors.filter(({ type }) => type === 'room');
    const visitor = await BaseClient.connect(address, { token: await mint({ tenant, sub: 'visitor' }), v1: true });
    clients.push(visitor);
    const watcher = await BaseClient.connect(address, { token: await mint({ tenant, sub: 'watcher' }), v1: true });
    clients.push(watcher);
    for (const { id } of rooms) {
      watcher.send({ type: 'event:sub', actor: 'room', actorId: id });
      await watcher.subscribe('room', id);
    }
    await Promise.all(rooms.map((room) => this.#ask(visitor, room, 'v')));
    await visitor.close();
    for (let burst = 0; burst < phase.bursts; burst += 1) {
      if (burst > 0) await sleep(burstPauseMs);
      await Promise.all(actors.map((actor) => this.#callOften(watcher, actor, phase)));
    }
    // One after the other, and so on every room's own way, which is ordered.
    for (const room of rooms) {
      await watcher.settled('room', room.id);
      room.watch(watcher.frames);
      room.clientIds.add(visitor.clientId).add(watcher.clientId);
    }
  }

  async #callOften(client: BaseClient, actor: KnownActor, { calls, largeCalls }: Phase): Promise<void> {
    const isLarge = actor.id.startsWith('large');
    for (let n = 0; n < (isLarge ? largeCalls : calls); n += 1)
      await this.#ask(client, actor, isLarge ? this.#letters(largeChars) : `w${this.#random.below(10)}`);
  }

  /** In turn: with a key of the client's number, with a key of its own, without. */
  async #ask(client: BaseClient, actor: KnownActor, name: string): Promise<void> {
    const ask = actor.next(name);
    const reply = await client.call(ask);
    if (reply.outcome !== 'ok')
      throw new Error(`${actor.name}: a call of a sound server ended ${JSON.stringify(reply)}`);
    actor.acknowledge(ask, reply.result);
    this.acknowledged += 1;
  }

  #letters(chars: number): string {
    let text = '';
    while (text.length < chars) text += this.#random.below(2 ** 31).toString(36);
    return text;
  }
}

/** The shipped command on a data directory, with two shards and no limit on messages. */
export function startOn(dataDir: string, plant: string | undefined, args: readonly string[] = []): ServerProcess {
  return new ServerProcess({
    app: 'storm',
    dataDir,
    args: ['--shards', '2', '--gateways', '1', ...limits, ...args],
    ...(plant === undefined ? {} : { preload: plant }),
  });
}

const limits = ['--limit', 'messagesPerSecond=0', '--limit', 'messagesBurst=0'];

/** A node as `fermata runtime` puts it together, as far as moving slots goes, in the test's own thread; it can end at any point. */
import { mkdirSync } from 'node:fs';
import type { NatsConnection } from 'nats';
import { onTestFinished } from 'vitest';
import { SlotMoves } from '../../src/cli/slot-moves.ts';
import { Control } from '../../src/cluster/control.ts';
import { Ownership } from '../../src/cluster/ownership.ts';
import { systemClock } from '../../src/host/clock.ts';
import { Lease } from '../../src/host/lease.ts';
import type { Address } from '../../src/protocol/address.ts';
import { encodeEntries } from '../../src/storage/entry.ts';
import { listTenants } from '../../src/storage/inspect.ts';
import type { KeeperCore } from '../../src/storage/keeper.ts';
import type { GiveAwayRequest, WelcomeRequest } from '../../src/storage/slot-transfer.ts';
import { dial, ensureOn, leaseMs, silentLog } from '../cluster/fixtures.ts';
import { openCore, stateEntry, temporaryDirectory } from '../storage/fixtures.ts';
import type { NatsServer } from '../support/nats-server.ts';

export const idA = 'aaaaaaaaaaaaaaaa';
export const idB = 'bbbbbbbbbbbbbbbb';

type Act = 'giveAway' | 'welcome' | 'handOver' | 'received' | 'take';
export type Point = `${'before' | 'after'} ${Act}`;

type Work<T = unknown> = () => Promise<T>;

export interface MovingNode {
  readonly id: string;
  readonly dataDir: string;
  readonly nc: NatsConnection;
  readonly core: KeeperCore;
  readonly ownership: Ownership;
  /** What keeper and bridge were asked, in order. */
  readonly seen: string[];
  /** The slot that it moves away just now. */
  readonly moving: number | undefined;
  serves(slot: number): boolean;
  write(at: Address, seq: number, state: unknown): void;
  /** Lets the next one of its kind go another way. */
  spoil(act: Act, way: (work: Work<void>) => Promise<unknown>): void;
  /** Ends there. Settles when it has ended. `received`: when it would have said that it has everything. */
  dieAt(point: Point): Promise<void>;
  /** As by SIGKILL. */
  die(): Promise<void>;
  close(): Promise<void>;
}

export async function openNode(server: NatsServer, id: string, dataDir = temporaryDirectory()): Promise<MovingNode> {
  mkdirSync(dataDir, { recursive: true });
  const nc = await dial(server);
  const core = openCore(dataDir);
  const seen: string[] = [];
  const served = new Set<number>();
  const spoilt = new Map<Act, (work: Work<void>) => Promise<unknown>>();
  let journalSeq = 0;
  let isDead = false;
  core.attach(0, { fence: async () => journalSeq });

  const does = async <T>(act: Act, work: Work<T>): Promise<T> => {
    if (isDead) return await never();
    const way = spoilt.get(act);
    if (way === undefined) return await work();
    return (await way(work as Work<void>)) as T;
  };

  const keeper = {
    async ask<T>(question: string, argument?: unknown): Promise<T> {
      if (isDead) return await never();
      seen.push(question);
      if (question === 'giveAway')
        return (await does('giveAway', () => core.transfer.giveAway(argument as GiveAwayRequest))) as T;
      if (question === 'welcome')
        return (await does('welcome', () => core.transfer.welcome(argument as WelcomeRequest))) as T;
      return undefined as T;
    },
  };
  const bridge = {
    take: (slot: number) =>
      does('take', async () => {
        seen.push(`take ${slot}`);
        served.add(slot);
      }),
    giveUp: async (slot: number) => {
      seen.push(`giveUp ${slot}`);
      served.delete(slot);
    },
  };
  const moves = new SlotMoves({
    nc,
    id,
    dataDir,
    shards: 1,
    replicas: 1,
    keeper,
    bridge,
    ownership: () => seenByMoves,
    phase: { name: 'ready' },
    log: silentLog,
  });
  const ownership = await Ownership.open({
    nc,
    ensure: ensureOn(nc),
    id,
    boot: Math.random().toString(36).slice(2, 12).padEnd(10, '0'),
    lease: new Lease(),
    leaseMs,
    slotGraceMs: 60_000,
    settleMs: 300,
    clock: systemClock,
    log: silentLog,
    onTaken: (slot, epoch) => moves.taken(slot, epoch),
    onLost: (slot) => moves.lost(slot),
    onDeposed: () => undefined,
  });
  const seenByMoves = new Proxy(ownership, {
    get(target, name) {
      if (name === 'handOver')
        return async (...args: Parameters<Ownership['handOver']>) =>
          await does('handOver', () => target.handOver(...args));
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  const tenantsOnDisk = listTenants(dataDir).map(({ tenant }) => tenant);
  await ownership.start({ tenantsOnDisk: [...tenantsOnDisk, ...(await moves.settle())] });
  const handlers = moves.handlers();
  const control = await Control.open({
    nc,
    id,
    version: '1.0.0',
    log: silentLog,
    handlers: {
      ...handlers,
      received: async (argument) => {
        const received = await handlers['received']!(argument);
        const isReady = (received as { state?: string }).state === 'ready';
        return isReady ? await does('received', async () => received) : received;
      },
    },
  });
  // From here on it hears what others ask.
  await nc.flush();
  onTestFinished(() => void core.close());

  const die = async (): Promise<void> => {
    if (isDead) return;
    isDead = true;
    await nc.close();
    await ownership.release();
    core.close();
  };

  return {
    id,
    dataDir,
    nc,
    core,
    ownership,
    seen,
    get moving() {
      return isDead ? undefined : moves.moving;
    },
    serves: (slot) => !isDead && served.has(slot) && ownership.owned().has(slot),
    write(at, seq, state) {
      journalSeq += 1;
      core.committed(0, { journalSeq, body: encodeEntries([stateEntry(at, seq, state)]) });
      core.flush();
    },
    spoil: (act, way) => {
      spoilt.set(act, async (work) => {
        spoilt.delete(act);
        return await way(work);
      });
    },
    dieAt(point) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const [when, act] = point.split(' ') as ['before' | 'after', Act];
      spoilt.set(act, async (work) => {
        if (when === 'after') await work();
        await die();
        resolve();
        return await never();
      });
      return promise;
    },
    die,
    async close() {
      if (isDead) return;
      await control.close();
      await moves.stop();
      await die();
    },
  };
}

function never<T>(): Promise<T> {
  return new Promise(() => undefined);
}

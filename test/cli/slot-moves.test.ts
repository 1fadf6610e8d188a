/**
 * Two nodes in one process, with real NATS, real records of slots, real files and keepers; only the bridge is played. A slot is
 * moved, and one of the two ends at each point where it could: the slot has one owner afterwards, and that one has the data.
 */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { askNode } from '../../src/cluster/control.ts';
import { type MoveState, parseMoveState } from '../../src/cluster/move-questions.ts';
import { slotOf } from '../../src/protocol/placement.ts';
import { address } from '../storage/fixtures.ts';
import { NatsServer } from '../support/nats-server.ts';
import { eventually } from '../support/wait.ts';
import { idA, idB, type MovingNode, openNode, type Point } from './moving-node.ts';

const slot = slotOf('acme', 64);
const c1 = address('c1');

let nats: NatsServer;
const servers: NatsServer[] = [];

beforeEach(async () => {
  nats = await NatsServer.start();
  servers.push(nats);
});

afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()));
});

describe('a move', () => {
  it('ships a checked file, hands the slot over, and keeps the former one', async () => {
    const { a, b } = await two();
    expect(await moved(a, b)).toMatchObject({ step: 'done', error: undefined, tenants: 1 });
    await servedBy(b, a);
    expect(readdirSync(join(a.dataDir, 'moved'))).toHaveLength(1);
    expect(b.seen).toContain(`take ${slot}`);
    // Files lie in their place before anybody calls.
    expect(b.seen.indexOf('welcome')).toBeLessThan(b.seen.indexOf(`take ${slot}`));
    expect(b.seen.indexOf('closeStale')).toBeGreaterThan(b.seen.indexOf(`take ${slot}`));
    expect(b.core.load(c1)).toEqual({ ...b.core.load(c1), seq: 1, epoch: 'boot-1' });
  });

  it('comes back with what the other one wrote, and the former file does not get in its way', async () => {
    const { a, b } = await two();
    await moved(a, b);
    await servedBy(b, a);
    b.write(c1, 2, 'later');
    expect(await moved(b, a)).toMatchObject({ step: 'done' });
    await servedBy(a, b, 'later');
  });

  it.each<[Point, 'a' | 'b']>([
    ['before giveAway', 'a'],
    ['after giveAway', 'a'],
    ['before handOver', 'a'],
    ['after handOver', 'a'],
    ['before received', 'b'],
    ['before welcome', 'b'],
    ['after welcome', 'b'],
    ['before take', 'b'],
  ])(
    'that is cut off %s, by the end of %s, leaves one owner with all of the data',
    async (point, victim) => {
      const nodes = await two();
      nodes[victim].seen.length = 0;
      const over = nodes[victim].dieAt(point);
      await begin(nodes.a, nodes.b);
      await over;
      nodes[victim] = await reopened(nodes[victim]);
      const { a, b } = nodes;
      const owner = await eventually('somebody serves', () => [a, b].find((node) => node.serves(slot)), 40_000);
      const other = owner === a ? b : a;
      await eventually('the move has ended', async () => !existsSync(join(other.dataDir, 'tenants/acme')), 40_000);
      await servedBy(owner, other);
      await eventually('nobody is in between', () => a.moving === undefined && b.moving === undefined, 40_000);
      expect(await moved(owner, other)).toMatchObject({ step: 'done' });
      await servedBy(other, owner);
    },
    90_000,
  );

  it('is taken back by the next start when the node stops meanwhile', async () => {
    const nodes = await two();
    let closed: Promise<void> | undefined;
    nodes.a.spoil('giveAway', async (giveAway) => {
      const tenants = await giveAway();
      closed = nodes.a.close();
      return tenants;
    });
    await begin(nodes.a, nodes.b);
    await eventually('it stops', () => closed !== undefined);
    await closed;
    expect(readdirSync(join(nodes.a.dataDir, 'outgoing'))).toHaveLength(1);
    nodes.a = await reopened(nodes.a);
    await servedBy(nodes.a, nodes.b);
    expect(readdirSync(join(nodes.a.dataDir, 'outgoing'))).toEqual([]);
  });

  it('is handed over also to a target that was started anew since it had everything', async () => {
    const nodes = await two();
    const { a } = nodes;
    a.spoil('handOver', async (handOver) => {
      await nodes.b.die();
      nodes.b = await reopened(nodes.b);
      await handOver();
    });
    expect(await moved(a, nodes.b)).toMatchObject({ step: 'done' });
    await servedBy(nodes.b, a);
  });

  it('that was given up while its target was away leaves nothing there', async () => {
    const nodes = await two();
    const { a } = nodes;
    a.spoil('handOver', async () => {
      await nodes.b.die();
      throw new Error('TIMEOUT');
    });
    expect(await moved(a, nodes.b)).toMatchObject({ step: 'failed' });
    expect(readdirSync(join(nodes.b.dataDir, 'incoming'))).toHaveLength(1);
    nodes.b = await reopened(nodes.b);
    expect(readdirSync(join(nodes.b.dataDir, 'incoming'))).toEqual([]);
    await servedBy(a, nodes.b);
  });

  it.each(['giveAway', 'handOver'] as const)(
    'while NATS is away at %s waits for it, and then it is clear whose the slot is',
    async (act) => {
      const { a, b } = await two();
      let back: Promise<void> | undefined;
      a.spoil(act, async (work) => {
        // The connection is not known to be lost when the work begins.
        const down = nats.down();
        back = down.then(() => delay(1000)).then(() => nats.up());
        return await work();
      });
      await begin(a, b);
      await eventually('NATS is killed', () => back !== undefined, 20_000);
      await back;
      await eventually('the move has ended', () => a.moving === undefined, 60_000);
      const owner = await eventually('somebody serves', () => [a, b].find((node) => node.serves(slot)), 30_000);
      await servedBy(owner, owner === a ? b : a);
    },
    120_000,
  );

  it('whose owner never comes back after everything was shipped can be ended by a person, with the data', async () => {
    const { a, b } = await two();
    const over = a.dieAt('before handOver');
    await begin(a, b);
    await over;
    const take = async () => await askNode(b.nc, b.id, 'takeAbandoned', { slot }, 10_000);
    await expect(take()).rejects.toThrow(/is there, or was until a moment ago/);
    await eventually(
      'it counts as away',
      () =>
        take().then(
          () => true,
          () => false,
        ),
      20_000,
    );
    await eventually('it is served', () => b.serves(slot));
    expect(b.core.load(c1).state).toBe('"now"');
    // When it does come back, it keeps what it had out of the way.
    const again = await reopened(a);
    await servedBy(b, again);
    expect(readdirSync(join(a.dataDir, 'moved')).some((name) => name.startsWith(`${slot}-`))).toBe(true);
  });

  it('whose change of the record was made and not answered is done', async () => {
    const { a, b } = await two();
    a.spoil('handOver', async (handOver) => {
      await handOver();
      throw new Error('TIMEOUT');
    });
    expect(await moved(a, b)).toMatchObject({ step: 'done' });
    await servedBy(b, a);
  });

  it('whose change of the record comes late is undone, and the change is refused', async () => {
    const { a, b } = await two();
    let late: (() => Promise<void>) | undefined;
    a.spoil('handOver', async (handOver) => {
      late = handOver;
      throw new Error('TIMEOUT');
    });
    expect(await moved(a, b)).toMatchObject({ step: 'failed', error: 'TIMEOUT' });
    await expect(late!()).rejects.toThrow(/has another epoch by now/);
    await servedBy(a, b);
    expect(readdirSync(join(b.dataDir, 'incoming'))).toEqual([]);
  });

  it('whose file is damaged on the way is undone', async () => {
    const { a, b } = await two();
    a.spoil('giveAway', async (giveAway) => {
      const tenants = await giveAway();
      // What a disk may do: the digest is made of what is read.
      const [folder] = readdirSync(join(a.dataDir, 'outgoing'));
      const path = join(a.dataDir, 'outgoing', folder!, 'tenants/acme/tenant.db');
      damaged = path;
      writeFileSync(path, Buffer.alloc(4096, 7), { flag: 'r+' });
      return tenants;
    });
    let damaged = '';
    expect(await moved(a, b)).toMatchObject({ step: 'failed', error: expect.stringContaining('could not take it') });
    expect(damaged).not.toBe('');
    expect(b.serves(slot)).toBe(false);
    expect(existsSync(join(b.dataDir, 'tenants/acme'))).toBe(false);
  });

  it('is refused while another one is under way, for a slot of somebody else, and to a node that is not there', async () => {
    const { a, b } = await two();
    const elsewhere = [...b.ownership.owned().keys()][0]!;
    await expect(askNode(a.nc, a.id, 'move', { slot: elsewhere, to: b.id }, 5000)).rejects.toThrow(
      `slot ${elsewhere} does not belong to this node`,
    );
    await expect(askNode(a.nc, a.id, 'move', { slot, to: a.id }, 5000)).rejects.toThrow(/served by this node already/);
    const hold = Promise.withResolvers<void>();
    a.spoil('giveAway', async (giveAway) => {
      await hold.promise;
      return await giveAway();
    });
    await begin(a, b);
    const second = [...a.ownership.owned().keys()].find((owned) => owned !== slot)!;
    await expect(askNode(a.nc, a.id, 'move', { slot: second, to: b.id }, 5000)).rejects.toThrow(/one move at a time/);
    hold.resolve();
    expect(await ended(a)).toMatchObject({ step: 'done' });
    await askNode(b.nc, b.id, 'move', { slot, to: 'nobodyishere' }, 5000);
    expect(await ended(b)).toMatchObject({
      step: 'failed',
      error: expect.stringContaining('is not connected to NATS'),
    });
    await servedBy(b, a);
  });

  it('of a slot with a quarantined tenant is refused, and nothing stops', async () => {
    const { a, b } = await two();
    a.core.quarantineTenant('acme', 'the test says so');
    a.seen.length = 0;
    expect(await moved(a, b)).toMatchObject({ step: 'failed', error: expect.stringContaining('is quarantined') });
    expect(a.seen).toEqual([]);
  });
});

async function two(): Promise<{ a: MovingNode; b: MovingNode }> {
  const a = await open(idA);
  const b = await open(idB);
  await eventually('both have slots', () => b.ownership.owned().size > 0 || a.ownership.owned().size === 64);
  if (!a.ownership.owned().has(slot)) expect(await moved(b, a)).toMatchObject({ step: 'done' });
  await eventually('the slot is served', () => a.serves(slot));
  a.write(c1, 1, 'now');
  await a.ownership.markData(slot);
  if (b.ownership.owned().size === 0) {
    const some = [...a.ownership.owned().keys()].find((owned) => owned !== slot)!;
    await askNode(a.nc, a.id, 'move', { slot: some, to: b.id }, 5000);
    expect(await ended(a)).toMatchObject({ step: 'done' });
  }
  return { a, b };
}

async function open(id: string, dataDir?: string): Promise<MovingNode> {
  const node = await openNode(nats, id, dataDir);
  onTestFinished(() => node.close());
  return node;
}

async function reopened(dead: MovingNode): Promise<MovingNode> {
  return await open(dead.id, dead.dataDir);
}

async function begin(from: MovingNode, to: MovingNode): Promise<void> {
  await askNode(to.nc, from.id, 'move', { slot, to: to.id }, 5000);
}

async function moved(from: MovingNode, to: MovingNode): Promise<MoveState> {
  await begin(from, to);
  return await ended(from);
}

async function ended(from: MovingNode): Promise<MoveState> {
  return await eventually(
    'the move ends',
    async () => {
      const state = parseMoveState(await askNode(from.nc, from.id, 'moveState', {}, 5000));
      return state?.step === 'done' || state?.step === 'failed' ? state : undefined;
    },
    60_000,
  );
}

async function servedBy(owner: MovingNode, other: MovingNode, state = 'now'): Promise<void> {
  await eventually('it is served', () => owner.serves(slot), 20_000);
  await eventually('the other one knows', () => !other.ownership.owned().has(slot), 20_000);
  expect(owner.core.load(c1).state).toBe(JSON.stringify(state));
  expect(existsSync(join(other.dataDir, 'tenants/acme'))).toBe(false);
  expect(other.serves(slot)).toBe(false);
}

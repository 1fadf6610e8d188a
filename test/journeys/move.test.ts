/**
 * A slot on its way between two runtimes while clients call its actors through a gateway, and what becomes of it when one of
 * the two is killed at each step. Nothing acknowledged may be lost, nothing may run twice, and each slot has one owner.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NatsConnection } from 'nats';
import { describe, expect, it, onTestFailed, onTestFinished } from 'vitest';
import { clusterStatus } from '../../src/cluster/cluster-status.ts';
import { askNode } from '../../src/cluster/control.ts';
import { slotOf } from '../../src/protocol/placement.ts';
import { dial } from '../cluster/fixtures.ts';
import { KeyedLoad } from '../support/keyed-load.ts';
import { NatsServer } from '../support/nats-server.ts';
import type { ServerProcess } from '../support/server.ts';
import { run, Stage } from '../support/stage.ts';
import { eventually } from '../support/wait.ts';

const slot = slotOf('acme', 64);

describe('a slot that is moved', () => {
  it('goes there and back three times while clients call, and none of them notices', { timeout: 180_000 }, async () => {
    const cluster = await Cluster.start();
    const load = await cluster.load();
    for (let round = 1; round <= 6; round += 1) {
      await load.progress(3);
      const to = (await cluster.owner()) === cluster.a.id ? cluster.b : cluster.a;
      const { code, stdout, stderr } = await cluster.move(to.id);
      expect({ code, stderr }, stdout).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain(`slot ${slot} belongs to node ${to.id} now: 1 tenant`);
      await load.progress(3);
      expect(await cluster.owner()).toBe(to.id);
    }
    await load.finish();
    expect(load.faults).toEqual([]);
    expect(load.losses).toBe(0);
    expect(cluster.below(cluster.a, 'moved').length + cluster.below(cluster.b, 'moved').length).toBe(6);
    for (const node of [cluster.a, cluster.b]) {
      expect(cluster.below(node, 'outgoing')).toEqual([]);
      expect(cluster.below(node, 'incoming')).toEqual([]);
    }
  });

  it('tells nobody goodbye who stays, and everybody once who leaves meanwhile', { timeout: 120_000 }, async () => {
    const cluster = await Cluster.start('lethal');
    const clients = await Promise.all(
      Array.from({ length: 12 }, async () => {
        const client = await cluster.stage.connect(cluster.gateway);
        await client.rpc('account', 'a1', 'add', { amount: 1 });
        return client;
      }),
    );
    const [stays, ...leaving] = clients;
    for (const client of leaving.splice(0, 2)) await client.close();
    for (let round = 1; round <= 3; round += 1) {
      const to = (await cluster.owner()) === cluster.a.id ? cluster.b : cluster.a;
      const moving = cluster.move(to.id);
      // One after the other, on both sides of each step.
      for (const client of leaving.splice(0, 3)) await client.close();
      expect(await moving).toMatchObject({ code: 0 });
    }
    const visits = await eventually('all goodbyes', async () => {
      const seen = ((await stays!.rpc('account', 'a1', 'look')) as { visits: string[] }).visits;
      return seen.filter((visit) => visit.startsWith('-')).length >= 11 && seen;
    });
    const ended = visits.filter((visit) => visit.startsWith('-'));
    expect(new Set(ended).size).toBe(ended.length);
    expect(ended).toHaveLength(11);
    expect(visits.filter((visit) => visit.startsWith('+'))).toHaveLength(12);
  });

  it.each([
    ['the owner', 'before its target has everything', 'a', 'receiving'],
    ['the target', 'as soon as it has everything', 'b', 'handing over'],
  ] as const)('loses nothing when %s is killed %s', { timeout: 180_000 }, async (_, __, victim, step) => {
    const cluster = await Cluster.start();
    const load = await cluster.load();
    await load.progress(3);
    await cluster.bringTo(cluster.a);
    const [killed, other] = victim === 'a' ? [cluster.a, cluster.b] : [cluster.b, cluster.a];
    // Whoever is not killed is held where it is, so that the step lasts until it can be seen.
    const moving = cluster.move(cluster.b.id);
    if (step === 'receiving') {
      await eventually('files are on their way', () => cluster.below(cluster.a, 'outgoing').length > 0);
      other.server.signal('SIGSTOP');
    } else {
      await eventually('the target has them', () => cluster.isReady(cluster.b));
    }
    await cluster.restart(killed, () => other.server.signal('SIGCONT'));
    await moving;
    await load.progress(3, 60_000);
    const owners = await cluster.owners();
    expect(owners, JSON.stringify(owners)).toHaveLength(1);
    await load.finish();
    expect(load.faults).toEqual([]);
    // Whoever has it, it moves again.
    const to = owners[0] === cluster.a.id ? cluster.b : cluster.a;
    expect(await cluster.move(to.id)).toMatchObject({ code: 0 });
  });
});

describe('fermata move', () => {
  it('says what cannot be moved, and why', { timeout: 120_000 }, async () => {
    const cluster = await Cluster.start();
    const owner = await cluster.owner();
    expect(await cluster.move('zzzz')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there is no node whose id begins with "zzzz"'),
    });
    expect(await cluster.move(owner!)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`slot ${slot} belongs to node ${owner} already`),
    });
    const other = owner === cluster.a.id ? cluster.b : cluster.a;
    const gone = owner === cluster.a.id ? cluster.a : cluster.b;
    expect(await cluster.move(other.id, '--abandon-data')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is there, so that its data can come along'),
    });
    const load = await cluster.load();
    await load.progress(1);
    await load.finish();
    await gone.server.kill9();
    await eventually(
      'it counts as away',
      async () => {
        const { nodes } = await clusterStatus(cluster.nc);
        return nodes.find(({ id }) => id === gone.id)?.state === 'away';
      },
      30_000,
    );
    expect(await cluster.move(other.id)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`its data lies on its owner, and node ${gone.id} is away`),
    });
    expect(await cluster.move(other.id.slice(0, 6), '--abandon-data')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('its tenants begin with nothing'),
    });
    expect(await cluster.owner()).toBe(other.id);
  });
});

interface Node {
  readonly id: string;
  readonly dataDir: string;
  server: ServerProcess;
}

/** A nats-server, two runtimes and a gateway. */
class Cluster {
  readonly nats: NatsServer;
  readonly nc: NatsConnection;
  readonly stage: Stage;
  readonly a: Node;
  readonly b: Node;
  readonly gateway: ServerProcess;
  readonly #app: string;

  static async start(app = 'ledger'): Promise<Cluster> {
    const nats = await NatsServer.start();
    onTestFinished(() => nats.close());
    const nc = await dial(nats);
    onTestFinished(() => nc.close());
    const stage = new Stage();
    onTestFinished(() => stage.end());
    const node = async (): Promise<Node> => {
      const server = await stage.serve(runtime(nats, app));
      return { id: readFileSync(join(server.dataDir, 'node-id'), 'utf8').trim(), dataDir: server.dataDir, server };
    };
    const [a, b] = await Promise.all([node(), node()]);
    const gateway = await stage.serve({ side: 'gateway', app: 'ledger', args: ['--nats-url', nats.url] });
    const cluster = new Cluster(nats, nc, stage, a, b, gateway, app);
    onTestFailed(() => cluster.tell());
    return cluster;
  }

  private constructor(
    nats: NatsServer,
    nc: NatsConnection,
    stage: Stage,
    a: Node,
    b: Node,
    gateway: ServerProcess,
    app: string,
  ) {
    this.#app = app;
    this.nats = nats;
    this.nc = nc;
    this.stage = stage;
    this.a = a;
    this.b = b;
    this.gateway = gateway;
  }

  /** What its processes said last, for a test that failed. */
  tell(): void {
    for (const { output } of [this.a.server, this.b.server, this.gateway]) console.error(output.slice(-5000));
  }

  async load(): Promise<KeyedLoad> {
    const load = await KeyedLoad.start({ targets: [this.gateway], sockets: 3, http: 3, pauseMs: 20 });
    onTestFinished(() => load.close());
    return load;
  }

  move(to: string, ...words: string[]): ReturnType<typeof run> {
    return run(['move', '--tenant', 'acme', '--to', to, '--nats-url', this.nats.url, ...words]);
  }

  async owner(): Promise<string | null> {
    return (await clusterStatus(this.nc)).slots[slot]!.owner;
  }

  /** Nodes that say that they have the slot. */
  async owners(): Promise<string[]> {
    const owners: string[] = [];
    for (const { id } of [this.a, this.b]) {
      const owned = Object(await askNode(this.nc, id, 'slots', {}, 5000)) as object;
      if (Object.hasOwn(owned, String(slot))) owners.push(id);
    }
    return owners;
  }

  async bringTo(node: Node): Promise<void> {
    if ((await this.owner()) !== node.id) expect(await this.move(node.id)).toMatchObject({ code: 0 });
  }

  below({ dataDir }: Node, folder: 'outgoing' | 'incoming' | 'moved'): string[] {
    const path = join(dataDir, folder);
    return existsSync(path) ? readdirSync(path) : [];
  }

  isReady(node: Node): boolean {
    return this.below(node, 'incoming').some((name) => existsSync(join(node.dataDir, 'incoming', name, 'ready')));
  }

  async restart(node: Node, meanwhile: () => void): Promise<void> {
    await node.server.kill9();
    meanwhile();
    node.server = await this.stage.serve({ ...runtime(this.nats, this.#app), dataDir: node.dataDir });
  }
}

function runtime({ url }: NatsServer, app: string) {
  return {
    side: 'runtime',
    app,
    args: ['--nats-url', url, '--shards', '2', '--limit', 'leaseMs=3000'],
  } as const;
}

/** Questions to nodes, by node and by service, and who is listed as being there. */
import { type NatsConnection, RequestStrategy } from 'nats';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { clusterStatus } from '../../src/cluster/cluster-status.ts';
import { askNode, Control, type ControlHandlers } from '../../src/cluster/control.ts';
import { type DirectoryEntry, DirectoryListing, readDirectory } from '../../src/cluster/directory.ts';
import { subjects } from '../../src/transport/nats-names.ts';
import { NatsServer } from '../support/nats-server.ts';
import { dial, ensureOn, leaseMs, nodeRecord, silentLog, writeRecord } from './fixtures.ts';

let server: NatsServer;
let nc: NatsConnection;

beforeAll(async () => {
  server = await NatsServer.start();
  nc = await dial(server);
});

afterAll(async () => {
  await nc.close();
  await server.close();
});

async function control(id: string, handlers: ControlHandlers): Promise<void> {
  const own = await dial(server);
  const opened = await Control.open({ nc: own, id, version: '0.7.0-beta.1', handlers, log: silentLog });
  await own.flush();
  onTestFinished(async () => {
    await opened.close();
    await own.close();
  });
}

async function askService(op: string, argument = ''): Promise<{ text: string; error: string }> {
  const reply = await nc.request(`${subjects.service}.${op}`, argument, { timeout: 2000 });
  return { text: reply.string(), error: reply.headers?.get('Nats-Service-Error') ?? '' };
}

describe('a question to a node', () => {
  test('is answered by that node, with what its handler returns', async () => {
    await control('nodeaaaa', { add: async (argument) => (argument as number) + 1, nothing: async () => undefined });
    await control('nodebbbb', { add: async () => 'wrong node' });
    expect(await askNode(nc, 'nodeaaaa', 'add', 41, 2000)).toBe(42);
    expect(await askNode(nc, 'nodeaaaa', 'nothing', undefined, 2000)).toBeNull();
  });

  test('fails with the message of what the handler threw', async () => {
    await control('nodeaaaa', {
      fail: async () => {
        throw new Error('slot 3 is being moved');
      },
    });
    await expect(askNode(nc, 'nodeaaaa', 'fail', {}, 2000)).rejects.toThrow('slot 3 is being moved');
    await expect(askNode(nc, 'nodeaaaa', 'constructor', {}, 2000)).rejects.toThrow('no operation "constructor"');
  });

  test('to nobody, or to one that is too slow, fails with a sentence', async () => {
    await control('nodeslow', { wait: async () => await new Promise(() => undefined) });
    await expect(askNode(nc, 'nodegone', 'x', {}, 2000)).rejects.toThrow('node nodegone is not connected to NATS (x)');
    await expect(askNode(nc, 'nodeslow', 'wait', {}, 50)).rejects.toThrow('node nodeslow did not answer within 50 ms');
    await expect(askNode(nc, '*', 'x', {}, 50)).rejects.toThrow('"*" is no id of a node');
  });

  test.each(['', 'nonsense', '[]', '{}', '{"op":7}', `{"op":"${'x'.repeat(70_000)}"}`])(
    'that is malformed is answered with an error: %.20s',
    async (text) => {
      await control('nodeaaaa', { x: async () => 1 });
      const reply = await nc.request(subjects.node('nodeaaaa'), text, { timeout: 2000 });
      expect(reply.json()).toEqual({ error: { message: expect.any(String) as string } });
    },
  );
});

describe('the micro service', () => {
  test('is found by NATS tools, and asks one node of the group', async () => {
    let asked = 0;
    const handlers = {
      status: async () => {
        asked += 1;
        return { ok: true };
      },
    };
    await control('nodeaaaa', handlers);
    await control('nodebbbb', handlers);
    expect(await askService('status')).toEqual({ text: '{"ok":true}', error: '' });
    expect(asked).toBe(1);
    const names: string[] = [];
    for await (const { name, version } of await nc.services
      .client({ strategy: RequestStrategy.Timer, maxWait: 300 })
      .ping('fermata'))
      names.push(`${name} ${version}`);
    expect(names).toEqual(['fermata 0.7.0', 'fermata 0.7.0']);
  });

  test('passes a question on to the node that it names', async () => {
    const drained: string[] = [];
    for (const id of ['nodeaaaa', 'nodebbbb']) {
      await control(id, {
        drain: async () => {
          drained.push(id);
          return id;
        },
      });
    }
    for (const id of ['nodeaaaa', 'nodebbbb', 'nodeaaaa'])
      expect(await askService('drain', JSON.stringify({ node: id }))).toEqual({ text: `"${id}"`, error: '' });
    expect(drained).toEqual(['nodeaaaa', 'nodebbbb', 'nodeaaaa']);
    expect(await askService('drain')).toEqual({ text: '', error: 'say which "node" to drain' });
    expect((await askService('drain', '{"node":"no.de"}')).error).toContain('must be the id');
  });
});

const entry: DirectoryEntry = {
  kind: 'runtime',
  id: 'nodeaaaa',
  version: '0.7.0',
  host: 'here',
  shards: 2,
  slots: [1, 2],
  load: 0,
  sinceMs: 1,
  state: 'ready',
};

async function list(one: DirectoryEntry): Promise<DirectoryListing> {
  const listing = new DirectoryListing({ nc, log: silentLog, describe: () => one });
  await listing.start();
  return listing;
}

describe('the directory', () => {
  test('lists who is there, until they go', async () => {
    const gateway = { ...entry, kind: 'gateway', id: 'gatewayb', shards: 0, slots: [] } as const;
    const listings = [await list(entry), await list(gateway)];
    expect(await readDirectory(nc)).toEqual([gateway, entry]);
    await listings[1]!.stop();
    expect(await readDirectory(nc)).toEqual([entry]);
    await listings[0]!.stop();
    expect(await readDirectory(nc)).toEqual([]);
  });

  test('fades after a minute without a heartbeat', async () => {
    await (await list(entry)).stop();
    const manager = await nc.jetstreamManager();
    expect((await manager.streams.info('KV_fermata_directory')).config.max_age).toBe(60e9);
  });

  test('leaves out what is no entry', async () => {
    const listing = await list(entry);
    const kv = await nc.jetstream().views.kv('fermata_directory');
    await kv.put('runtime.nodebbbb', JSON.stringify(entry));
    await kv.put('runtime.nodecccc', 'nonsense');
    await kv.put('gateway.nodedddd', JSON.stringify({ ...entry, kind: 'gateway', id: 'nodedddd', slots: 'all' }));
    expect(await readDirectory(nc)).toEqual([entry]);
    await listing.stop();
  });
});

describe('the status of everything', () => {
  test('says that there is none where no runtime was ever started', async () => {
    await expect(clusterStatus(nc)).rejects.toThrow('no runtime of Fermata was ever started');
  });

  test('gathers nodes, slots, gateways and what waits', async () => {
    await ensureOn(nc)();
    const nowMs = Date.now();
    await writeRecord(nc, { node: 'nodeaaaa' }, nodeRecord({ epoch: 4, atMs: nowMs }));
    await writeRecord(nc, { node: 'nodebbbb' }, nodeRecord({ atMs: nowMs - leaseMs * 2 }));
    await writeRecord(nc, { node: 'nodecccc' }, nodeRecord({ state: 'stopped' }));
    await writeRecord(nc, { slot: 2 }, { owner: 'nodeaaaa', epoch: 6, hasData: true });
    await writeRecord(nc, { slot: 3 }, { owner: 'nodeaaaa', epoch: 7, hasData: false });
    const listing = await list(entry);
    onTestFinished(async () => await listing.stop());
    for (const slot of [2, 2, 9]) await nc.jetstream().publish(subjects.calls(slot), 'x');
    await nc.jetstream().publish(subjects.dead(9), 'x');
    const status = await clusterStatus(nc, nowMs);
    expect(status.nodes.map(({ id, state, slots }) => ({ id, state, slots }))).toEqual([
      { id: 'nodeaaaa', state: 'up', slots: 2 },
      { id: 'nodebbbb', state: 'away', slots: 0 },
      { id: 'nodecccc', state: 'stopped', slots: 0 },
    ]);
    expect(status.nodes[0]).toMatchObject({ epoch: 4, slotsWithData: 1, runtime: entry });
    expect(status.slots).toHaveLength(64);
    expect(status.slots[2]).toEqual({ slot: 2, owner: 'nodeaaaa', epoch: 6, hasData: true, backlog: 2 });
    expect(status.slots[9]).toEqual({ slot: 9, owner: null, epoch: 0, hasData: false, backlog: 1 });
    expect(status.calls.messages).toBe(3);
    expect(status.dead.messages).toBe(1);
    expect(status.gateways).toEqual([]);
    expect(JSON.parse(JSON.stringify(status))).toEqual(status);
  });
});

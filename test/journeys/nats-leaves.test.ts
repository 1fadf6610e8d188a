/**
 * A hub and two leaves, each with the streams of a Fermata of its own, all with the same names. What is published on one
 * leaf is stored there once and nowhere else; no answer, acknowledgement or record crosses; what belongs to the user does.
 */
import {
  AckPolicy,
  connect,
  createInbox,
  type JetStreamManager,
  type JsMsg,
  type KV,
  type NatsConnection,
  RetentionPolicy,
} from 'nats';
import { describe, expect, onTestFinished, test } from 'vitest';
import { NatsServer } from '../support/nats-server.ts';
import { freePort } from '../support/stage.ts';
import { eventually } from '../support/wait.ts';
import { buckets, streams, subjects } from '../../src/transport/nats-names.ts';
import { connectTo, newFolder, startNats } from '../cli/nats-server-fixture.ts';

interface Place {
  readonly client: NatsConnection;
  readonly manager: JetStreamManager;
}

interface Tree {
  readonly hub: NatsConnection;
  readonly a: Place;
  readonly b: Place;
}

/** What the hub has of JetStream: none, one without a domain, or one of a domain of its own. */
const hubs = ['no', 'plain', 'domain'] as const;
type Hub = (typeof hubs)[number];

async function grow(kind: Hub): Promise<Tree> {
  const leafPort = await freePort();
  const secret = 'a-secret-of-the-hub';
  // A second block replaces the first one, store and all.
  const jetstream = {
    no: 'jetstream: disabled',
    plain: '',
    domain: `jetstream { store_dir: "${newFolder()}", domain: hub }`,
  };
  const hubServer = await NatsServer.start({
    config: `${jetstream[kind]}
      leafnodes { listen: "127.0.0.1:${leafPort}", authorization { user: leaf, password: "${secret}" } }`,
  });
  onTestFinished(() => hubServer.close());
  const hub = await connect({ servers: hubServer.url });
  onTestFinished(() => hub.close());
  const leafRemotes = [`nats://leaf:${secret}@127.0.0.1:${leafPort}`];
  const [a, b] = [await startNats({ leafRemotes }), await startNats({ leafRemotes, domain: 'leaf-b' })];
  const tree = { hub, a: await placeOf(await connectTo(a.nats)), b: await placeOf(await connectTo(b.nats)) };
  await connected(tree);
  return tree;
}

async function placeOf(client: NatsConnection): Promise<Place> {
  return { client, manager: await client.jetstreamManager() };
}

/** Until a question from one leaf is answered on the other, there and back through the hub. */
async function connected({ a, b }: Tree): Promise<void> {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    const answering = to.client.subscribe('orders.ping', { callback: (_, message) => void message.respond() });
    await eventually('the leaves', () =>
      from.client.request('orders.ping', '', { timeout: 250 }).then(
        () => true,
        () => false,
      ),
    );
    answering.unsubscribe();
  }
}

async function addCalls({ manager }: Place): Promise<void> {
  await manager.streams.add({
    name: streams.calls,
    subjects: [subjects.allCalls],
    retention: RetentionPolicy.Workqueue,
  });
}

async function stored({ manager }: Place, stream: string): Promise<number> {
  return (await manager.streams.info(stream)).state.messages;
}

/** When this comes through, all that was published before it on the same connections has come, if it comes at all. */
async function settled(tree: Tree): Promise<void> {
  await connected(tree);
  await Promise.all([tree.hub.flush(), tree.a.client.flush(), tree.b.client.flush()]);
}

describe.each(hubs)('below a hub with JetStream: %s', (kind) => {
  test('1,000 frames published on A are stored once on A, not on B and not on the hub', async () => {
    const tree = await grow(kind);
    const { hub, a, b } = tree;
    const places = kind === 'no' ? [a, b] : [a, b, await placeOf(hub)];
    for (const place of places) await addCalls(place);
    await settled(tree);
    const inAll = (): Promise<number[]> => Promise.all(places.map((place) => stored(place, streams.calls)));
    const acks = await Promise.all(
      Array.from({ length: 1000 }, (_, n) => a.client.jetstream().publish(subjects.calls(n % 64), `frame ${n}`)),
    );
    expect(new Set(acks.map(({ seq }) => seq)).size).toBe(1000);
    await settled(tree);
    expect(await inAll()).toEqual([1000, 0, 0].slice(0, places.length));
    hub.publish(subjects.calls(1), 'a frame of the hub');
    b.client.publish(subjects.calls(1), 'a frame of B');
    await settled(tree);
    expect(await inAll()).toEqual([1000, 1, 1].slice(0, places.length));
  });

  test('answers, records and acknowledgements stay on their leaf, also for who listens to everything', async () => {
    const tree = await grow(kind);
    const { hub, a, b } = tree;
    const crossed: string[] = [];
    for (const client of [hub, b.client]) {
      for (const subject of ['>', 'fermata.>', '$KV.>', '$O.>', '$SRV.*.*'])
        client.subscribe(subject, { callback: (_, message) => void crossed.push(message.subject) });
    }
    // The consumers have the same name, and so have their acknowledgements.
    for (const place of [a, b]) {
      await addCalls(place);
      const consumer = { durable_name: 'slot-1-e1', ack_policy: AckPolicy.Explicit, filter_subject: subjects.calls(1) };
      await place.manager.consumers.add(streams.calls, consumer);
      await place.client.jetstream().publish(subjects.calls(1), 'a frame');
    }
    const [slotsOfA, slotsOfB] = [await slotsOf(a), await slotsOf(b)];
    const [ofA, ofB] = [await pull(a), await pull(b)];
    await settled(tree);
    crossed.length = 0;
    expect(await ofA.ackAck()).toBe(true);
    await slotsOfA.put('slot.1', 'A');
    const others = [`$O.${buckets.moves}.C.part`, '$SRV.PING.fermata', `$JS.FC.KV_${buckets.slots}.watcher.1`];
    for (const subject of [subjects.out('gateway01'), subjects.hello, subjects.beat, subjects.calls(1), ...others])
      a.client.publish(subject, 'from A');
    await settled(tree);
    expect(crossed.filter((subject) => /^fermata|^\$(KV|O|SRV|JS\.ACK|JS\.FC)\./.test(subject))).toEqual([]);
    expect(await slotsOfB.get('slot.1')).toBeNull();
    expect((await b.manager.consumers.info(streams.calls, 'slot-1-e1')).num_ack_pending).toBe(1);
    expect(await ofB.ackAck()).toBe(true);
  });

  test('a question to JetStream is answered by the own leaf alone, and by another one when it is named', async () => {
    const tree = await grow(kind);
    const { hub, a, b } = tree;
    await a.manager.streams.add({ name: 'ONLY_A', subjects: ['only.a'] });
    await b.manager.streams.add({ name: 'ONLY_B', subjects: ['only.b'] });
    await settled(tree);
    const answers: { streams: string[] }[] = [];
    const inbox = createInbox();
    a.client.subscribe(inbox, { callback: (_, message) => void answers.push(message.json()) });
    a.client.publish('$JS.API.STREAM.NAMES', '', { reply: inbox });
    await eventually('an answer', () => answers.length > 0);
    await settled(tree);
    expect(answers.map((answer) => answer.streams)).toEqual([['ONLY_A']]);
    for (const client of [a.client, hub]) {
      const named = await client.request('$JS.leaf-b.API.STREAM.NAMES');
      expect(named.json()).toMatchObject({ streams: ['ONLY_B'] });
    }
  });

  test('what is the user’s own flows both ways, and the hub may store it', async () => {
    const tree = await grow(kind);
    const { hub, a, b } = tree;
    const manager = kind === 'no' ? undefined : await hub.jetstreamManager();
    await manager?.streams.add({ name: 'ORDERS', subjects: ['orders.new.>'] });
    const seen: string[] = [];
    b.client.subscribe('orders.new.>', { callback: (_, { subject }) => void seen.push(subject) });
    await settled(tree);
    for (let n = 0; n < 100; n += 1) a.client.publish(`orders.new.${n}`, 'an order');
    await eventually('the orders on B', () => seen.length >= 100);
    await settled(tree);
    expect(seen).toEqual(Array.from({ length: 100 }, (_, n) => `orders.new.${n}`));
    const kept = await manager?.streams.info('ORDERS');
    expect(kept?.state.messages).toBe(kind === 'no' ? undefined : 100);
  });
});

function slotsOf({ client }: Place): Promise<KV> {
  return client.jetstream().views.kv(buckets.slots);
}

async function pull({ client }: Place): Promise<JsMsg> {
  const consumer = await client.jetstream().consumers.get(streams.calls, 'slot-1-e1');
  const message = await consumer.next({ expires: 5000 });
  if (message === null) throw new Error('there should be a frame');
  return message;
}

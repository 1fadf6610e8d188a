/**
 * What a gateway writes, its own runtimes must take: real frames of a real gateway, made of the strangest things that clients may
 * say, go through the check of the bridge.
 */
import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import { checkFrame, isLegal } from '../../src/bridge/envelope-check.ts';
import { decodeInbound, inboundOp } from '../../src/protocol/envelope.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import type { SlotFrame } from '../../src/transport/contract.ts';
import { slots } from '../../src/transport/nats-names.ts';
import { FakeRemote } from '../gateway/fake-remote.ts';
import { Client, type Rig, startRig, stopRigs, until } from '../gateway/rig.ts';
import { claims, type Json, token } from '../gateway/tokens.ts';

afterEach(stopRigs);

const { depthMax } = defaultLimits;

/** Keeps what it is sent, with where to. */
class Slots extends FakeRemote {
  readonly said: Pick<SlotFrame, 'slot' | 'text' | 'kind'>[] = [];
  #kind: SlotFrame['kind'] = 'calls';

  override send(slot: number, text: string): void {
    this.said.push({ slot, text, kind: this.#kind });
    super.send(slot, text);
  }

  override turnover(slot: number): void {
    this.#kind = 'presence';
    super.turnover(slot);
    this.#kind = 'calls';
  }
}

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

const text = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }) },
  fc.string({ unit: 'binary', maxLength: 256 }),
  fc.array(fc.nat(0xffff), { maxLength: 256 }).map((units) => String.fromCharCode(...units)),
  fc.constantFrom(
    'x'.repeat(256),
    'é'.repeat(256),
    '\u{1f600}'.repeat(128),
    '"\\'.repeat(128),
    '\ud800',
    '__proto__',
    '|/',
  ),
);
const name = fc.oneof({ weight: 9, arbitrary: fc.constantFrom('counter', 'echo', 'hold', `A${'_'.repeat(63)}`) }, text);
const plainId = fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/);
const parent = fc.constantFrom(traceparent, `cc${traceparent.slice(2)}-later`, 'none', undefined);
const input = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom(undefined, null, -0, 1e300),
  fc.integer({ min: 1, max: depthMax + 1 }).map(deep),
  fc.record({ ['k'.repeat(100)]: text }),
);
const position = fc.record({ epoch: fc.string({ unit: 'binary', maxLength: 64 }), seq: fc.maxSafeNat() });

const rpc = fc.record(
  {
    type: fc.constant('rpc'),
    id: text,
    actor: name,
    actorId: text,
    method: name,
    input,
    key: fc.oneof(text, fc.constantFrom('client-a1:7', `${'c'.repeat(64)}:999999999999999`)),
    ack: fc.constantFrom(0, 6, 7, Number.MAX_SAFE_INTEGER),
    deadlineMs: fc.oneof(fc.double({ min: 0, noNaN: true }), fc.integer()),
    traceparent: parent,
  },
  { requiredKeys: ['type', 'id', 'actor', 'actorId', 'method'] },
);
const subscription = fc.record(
  {
    type: fc.constantFrom('state:sub', 'event:sub', 'state:unsub', 'event:unsub'),
    actor: name,
    actorId: text,
    since: position,
  },
  { requiredKeys: ['type', 'actor', 'actorId'] },
);
const visit = fc.record({
  sub: text,
  tenant: fc.constantFrom('acme', 't1', `t${'-'.repeat(62)}`),
  more: fc.oneof(fc.jsonValue(), fc.integer({ min: 1, max: depthMax + 1 }).map(deep)),
  requestId: fc.option(plainId, { nil: undefined }),
  additions: fc.boolean(),
  messages: fc.array(fc.oneof({ weight: 3, arbitrary: rpc }, subscription), { maxLength: 12 }),
  leaves: fc.boolean(),
});
const request = fc.record({
  method: fc.constantFrom('POST', 'GET'),
  actor: name,
  actorId: text,
  route: fc.oneof(name, fc.constant('state')),
  key: fc.string({ maxLength: 256 }),
  requestId: fc.option(plainId, { nil: undefined }),
  parent,
  body: input,
});

/** An array in an array, so many of them. */
function deep(levels: number): unknown {
  return JSON.parse('['.repeat(levels) + ']'.repeat(levels));
}

function expectLegal(remote: Slots): void {
  for (const frame of remote.said.splice(0)) {
    const checked = checkFrame(frame, depthMax);
    const illegal = checked.kind === 'illegal' ? [checked] : checked.envelopes.filter((envelope) => !isLegal(envelope));
    expect(illegal, frame.text).toEqual([]);
  }
}

async function come(rig: Rig, { sub, tenant, more, requestId, additions, messages, leaves }: VisitOf): Promise<void> {
  const given = token(claims({ sub, tenant, more: more as Json }));
  const headers: Record<string, string> = requestId === undefined ? {} : { 'x-request-id': requestId };
  const client = new Client(rig, { token: given, protocols: additions ? ['fermata.v1'] : [], headers });
  await Promise.race([client.closed, client.next('welcome')]);
  const left = leaves ? messages.map((message) => ({ ...message, type: message.type.replace(':sub', ':unsub') })) : [];
  for (const message of [...messages, ...left]) if (client.closeCode === undefined) client.send(message);
  await Promise.race([client.closed, client.rpc('echo')]);
  if (leaves) client.socket.close();
  else client.socket.terminate();
  await client.closed;
}

type VisitOf = typeof visit extends fc.Arbitrary<infer Of> ? Of : never;
type RequestOf = typeof request extends fc.Arbitrary<infer Of> ? Of : never;

async function ask(
  rig: Rig,
  { method, actor, actorId, route, key, requestId, parent, body }: RequestOf,
): Promise<void> {
  const path = [actor, actorId, method === 'GET' ? 'state' : route].map((part) =>
    encodeURIComponent(part.toWellFormed()),
  );
  const headers = {
    authorization: `Bearer ${token()}`,
    ...(key === '' ? {} : { 'idempotency-key': key }),
    ...(requestId === undefined ? {} : { 'x-request-id': requestId }),
    ...(parent === undefined ? {} : { traceparent: parent }),
  };
  const json = method === 'GET' || body === undefined ? {} : { body: JSON.stringify(body) };
  // `hold` is never answered.
  const signal = AbortSignal.timeout(route === 'hold' ? 20 : 5000);
  await fetch(`${rig.http}/v1/actors/${path.join('/')}`, { method, headers, signal, ...json }).catch(() => undefined);
}

it('all that a gateway writes is legal at the other end, whatever its clients say', async () => {
  const remote = new Slots(slots);
  const rig = await startRig({ link: remote, limits: { connectionCallsMax: 64 } });
  await fc.assert(
    fc.asyncProperty(
      fc.array(visit, { maxLength: 2 }),
      fc.array(request, { maxLength: 2 }),
      async (visits, requests) => {
        await Promise.all([...visits.map((one) => come(rig, one)), ...requests.map((one) => ask(rig, one))]);
        for (const tenant of ['acme', 't1']) remote.turnover(remote.place(tenant));
        expectLegal(remote);
      },
    ),
    { numRuns: 200 },
  );
  rig.clock.monotonicSkewMs = 60_001;
  await until(() => rig.gateway.counts().detached === 0);
  expectLegal(remote);
  const ops = new Set(remote.all.map(({ envelope }) => envelope[0]));
  const { leave: _ofBridges, ...ofGateways } = inboundOp;
  expect(ops).toEqual(new Set(Object.values(ofGateways)));
}, 60_000);

it('a call with the longest of all names is legal at the other end, and its trace whole', async () => {
  const remote = new Slots(slots);
  const rig = await startRig({ link: remote });
  const given = token(claims({ sub: 's'.repeat(256), more: deep(depthMax - 1) as Json }));
  const headers = { 'x-request-id': 'r'.repeat(64) };
  const client = new Client(rig, { token: given, protocols: ['fermata.v1'], headers });
  await client.next('welcome');
  const long = 'é'.repeat(256);
  const named = { actor: 'counter', actorId: long, method: 'echo', key: long, traceparent };
  client.send({ type: 'rpc', id: long, ...named, input: deep(depthMax - 1), deadlineMs: 1e300 });
  await client.next('rpc:result');
  const [, call] = decodeInbound(remote.said[0]!.text);
  expect(call![10]).toBe(`${traceparent}|${'r'.repeat(64)}/${long}`);
  expectLegal(remote);
});

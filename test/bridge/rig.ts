/** A bridge over scripted shards and a scripted NATS, and the envelopes that its tests say. */
import { expect, vi } from 'vitest';
import { type Bridge, openBridge } from '../../src/bridge/bridge.ts';
import type { Clock } from '../../src/host/clock.ts';
import { systemClock } from '../../src/host/clock.ts';
import { createLog } from '../../src/host/log.ts';
import { type Inbound, inboundOp, type SessionInfo, type Stream } from '../../src/protocol/envelope.ts';
import { defaultLimits, type Limits } from '../../src/protocol/limits.ts';
import { slotOf } from '../../src/protocol/placement.ts';
import { slots } from '../../src/transport/nats-names.ts';
import { FakeShards } from '../gateway/fake-shards.ts';
import { FakeSlotLink } from './fake-slot-link.ts';

export const silent = createLog({ level: 'silent', pretty: false }, 'test');
export const gateways = { a: 'gateway-aaaa', b: 'gateway-bbbb' } as const;
export const { a, b } = gateways;

export const tenant = 't1';
/** Of the tenant. */
export const slot = slotOf(tenant, slots);

export interface BridgeRig {
  readonly bridge: Bridge;
  readonly shards: FakeShards;
  readonly nats: FakeSlotLink;
}

export async function startBridge(
  options: { shards?: number; limits?: Partial<Limits>; clock?: Clock } = {},
): Promise<BridgeRig> {
  const shards = new FakeShards(options.shards ?? 1);
  const nats = new FakeSlotLink();
  const bridge = openBridge({
    slotLink: nats,
    link: shards,
    boot: 'this-boot',
    limits: { ...defaultLimits, ...options.limits },
    log: silent,
    clock: options.clock ?? systemClock,
  });
  await bridge.takeSlot(slot, 1);
  return { bridge, shards, nats };
}

/** A WebSocket session of the client `name`. */
export function infoOf(name: string, more: Partial<SessionInfo> = {}): SessionInfo {
  return {
    tenant,
    sessionId: `session-${name}`,
    clientId: `client-${name}`,
    userId: name,
    claims: { sub: name },
    kind: 'ws',
    additions: true,
    ...more,
  };
}

export const httpInfo = (name: string): SessionInfo => infoOf(name, { sessionId: '', kind: 'http', additions: false });

export const open = (session: number, info: SessionInfo): Inbound => [inboundOp.open, session, info];
export const end = (session: number): Inbound => [inboundOp.end, session];
export const detach = (session: number): Inbound => [inboundOp.detach, session];
export const present = (...sessions: number[]): Inbound => [inboundOp.present, 0, sessions];
export const read = (session: number, call: number): Inbound => [inboundOp.read, session, call, 'counter', 'c1'];

export function subscribe(session: number, id = 'c1', stream: Stream = 'state'): Inbound {
  return [inboundOp.subscribe, session, 'counter', id, stream];
}

export function unsubscribe(session: number, id = 'c1'): Inbound {
  return [inboundOp.unsubscribe, session, 'counter', id, 'state'];
}

export function call(
  session: number,
  number: number,
  method = 'echo',
  {
    id = 'c1',
    key = '',
    deadlineMs = 0,
    input = 'x',
    ack = -1,
  }: { id?: string; key?: string; deadlineMs?: number; input?: unknown; ack?: number } = {},
): Inbound {
  return [inboundOp.call, session, number, 'counter', id, method, key, ack, deadlineMs, input];
}

export const answered = (number: number, body = '"x"') => ({ op: 'K', a: number, b: 1, c: expect.any(Number), body });

/** The code of what call `number` of the gateway ended with; 'ok' when it did not fail, undefined when it did not end. */
export function outcomeOf({ nats }: BridgeRig, gateway: string, number: number): string | undefined {
  const ends = nats.told(gateway).filter(({ op, a: about }) => (op === 'K' || op === 'E') && about === number);
  if (ends.length > 1) throw new Error(`call ${number} was answered ${ends.length} times`);
  const [record] = ends;
  if (record === undefined) return undefined;
  return record.op === 'K' ? 'ok' : (JSON.parse(record.body) as { code: string }).code;
}

/** What the shards heard, without claims and the like. */
export function heard({ shards }: BridgeRig, from = 0): unknown[][] {
  return shards.all
    .slice(from)
    .map(({ shard, envelope }) => [shard, ...(envelope[0] === inboundOp.open ? [0, envelope[1]] : envelope)]);
}

export async function until(holds: () => boolean): Promise<void> {
  await vi.waitUntil(holds, { timeout: 10_000, interval: 2 });
}

/** Everything that was on its way inside this process has arrived. */
export async function quiet(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

export const nothingLeft = { sessions: 0, calls: 0, frames: 0, peers: 0, tenants: 0, topics: 0 };

/**
 * The bridge: the end of NATS in a process that runs actors. Towards the shards it is a gateway; behind it are all the gateways
 * of other processes.
 *
 *   NATS ── SlotLink ──▶ SlotGate ─▶ FrameReader ─▶ RemoteSessions, Intake ──▶ shards
 *                ◀── Outgoing ◀── Answers ◀─────────────────────────┘
 *
 * Invariants: a frame is forgotten by NATS only after its calls were answered and the answers sent · what a slot's gateways are
 * told is in the order in which the shards said it · with no sessions and no calls nothing is remembered of any gateway.
 */
import { Intake } from '../gateway/intake.ts';
import { endLostCalls, type RunningCall } from '../gateway/lost-calls.ts';
import { GatewayMeters } from '../gateway/meters.ts';
import { Pending } from '../gateway/pending.ts';
import { PoisonCalls } from '../gateway/poison.ts';
import { type SessionRecord, SessionRecords } from '../gateway/session-records.ts';
import type { Clock } from '../host/clock.ts';
import type { Lease } from '../host/lease.ts';
import type { Logger } from '../host/log.ts';
import { LogGate } from '../host/log-gate.ts';
import type { Sample } from '../host/meters.ts';
import type { Limits } from '../protocol/limits.ts';
import type { GatewayLink, SlotLink } from '../transport/contract.ts';
import { Answers } from './answers.ts';
import { FrameReader } from './frame-reader.ts';
import { LeaseWait } from './lease-wait.ts';
import { Outgoing } from './outgoing.ts';
import { Peers } from './peer.ts';
import { RemoteSessions } from './remote-sessions.ts';
import { SlotGate } from './slot-gate.ts';
import { Topics } from './topics.ts';

export interface BridgeOptions {
  readonly slotLink: SlotLink;
  /** To the shards of this process. Stays its owner's. */
  readonly link: GatewayLink;
  /** The run of the process. */
  readonly boot: string;
  /** What opens a slot's first session waits until somebody says `gate.open`; false by default. */
  readonly holds?: boolean;
  /** The node's right to commit: without it frames wait. Absent: nobody gives leases. */
  readonly lease?: Pick<Lease, 'held'> | undefined;
  readonly limits: Limits;
  readonly log: Logger;
  readonly clock: Clock;
}

export interface BridgeCounts {
  readonly slots: number;
  readonly sessions: number;
  readonly calls: number;
  /** Frames that owe an answer. */
  readonly frames: number;
  /** Pairs of gateway and slot with sessions or calls. */
  readonly peers: number;
  readonly tenants: number;
  readonly topics: number;
}

export interface Bridge {
  /** Settles when the gateways have said who is there, and calls of the slot are taken. @throws Error when NATS does not answer */
  takeSlot(slot: number, epoch: number): Promise<void>;
  /** Takes no more of the slot; settles when all that was taken is answered. */
  releaseSlot(slot: number): Promise<void>;
  /** After `releaseSlot`: another process has it now. Its sessions live on there; no hook runs for them here. */
  forgetSlot(slot: number): void;
  /** Holds a slot's calls until it is marked as holding data. */
  readonly gate: Pick<SlotGate, 'next' | 'open' | 'again'>;
  /** A shard's thread died: its calls end `unknown`. Returns what the call with this number asked for, if it was in flight. */
  shardLost(shard: number, runningCall: number): RunningCall | undefined;
  /** Its successor takes calls: it is told of the sessions and their subscriptions. */
  shardBack(shard: number): void;
  setPoison(fingerprints: readonly string[]): void;
  takeSessionRecords(): SessionRecord[];
  /** Calls as a gateway counts them, for a process that has none. */
  samples(): Sample[];
  /** Releases all slots; settles when all that was taken is answered. */
  stopTaking(): Promise<void>;
  /** Settles when no call is pending: every answer was handed to NATS. */
  settled(): Promise<void>;
  /** Closes the slot link. Sessions are not ended: they are their gateways', and find who serves the slots next. */
  close(): Promise<void>;
  counts(): BridgeCounts;
}

export function openBridge({ slotLink, link, boot, holds = false, lease, limits, log, clock }: BridgeOptions): Bridge {
  const lines = new LogGate(log, clock.monotonic);
  const pending = new Pending(link.shards);
  const poison = new PoisonCalls(lines);
  const meters = new GatewayMeters(clock);
  const intake = new Intake({ link, pending, poison, meters, limits, clock });
  const peers = new Peers();
  const topics = new Topics(link.shards);
  const records = new SessionRecords(boot, limits.socketsMax + limits.detachedSessionsMax);
  const sessions = new RemoteSessions({ intake, link, peers, topics, records, clock });
  const outgoing = new Outgoing(slotLink, peers);
  const answers = new Answers({ pending, intake, sessions, topics, outgoing, meters });
  const open = { frames: 0 };
  const reader = new FrameReader({ intake, answers, outgoing, peers, sessions, open, limits, lines });
  const slots = new Set<number>();
  const leaseWait = new LeaseWait((frame) => reader.read(frame), lease);
  const gate = new SlotGate((frame) => leaseWait.pass(frame), holds);
  let closing: Promise<void> | undefined;

  link.onFrame((frame, shard) => answers.receive(frame, shard));
  slotLink.onFrame((frame) => {
    // What comes of a slot that was given up is its next owner's.
    if (slots.has(frame.slot)) gate.pass(frame);
  });
  slotLink.onGatewayGone((gateway) => sessions.gatewayGone(gateway));

  return {
    async takeSlot(slot, epoch) {
      // Presence comes while it is being taken.
      slots.add(slot);
      try {
        await slotLink.take(slot, epoch);
        // Who is there should be known by now to who asks next.
        await gate.settled(slot, markMsMax);
      } catch (error) {
        slots.delete(slot);
        refuseHeld(slot);
        throw error;
      }
    },
    releaseSlot,
    forgetSlot: (slot) => sessions.forgetSlot(slot),
    gate,
    shardLost(shard, runningCall) {
      intake.shardLost(shard);
      answers.forgetShard(shard);
      const failAll = answers.failAll.bind(answers);
      return endLostCalls({ pending, failAll, log }, shard, runningCall);
    },
    shardBack: (shard) => intake.shardBack(shard, sessions.all()),
    setPoison: (fingerprints) => poison.set(fingerprints),
    takeSessionRecords: () => records.take(),
    samples: () =>
      meters.samples({ sockets: 0, detached: 0, calls: pending.size }).filter(({ name }) => callMetrics.has(name)),
    async stopTaking() {
      await Promise.all(Array.from(slots, releaseSlot));
    },
    settled: () => pending.settled(),
    close: () => (closing ??= close()),
    counts: () => ({
      slots: slots.size,
      sessions: sessions.size,
      calls: pending.size,
      frames: open.frames,
      peers: peers.size,
      tenants: intake.tenants,
      topics: topics.size,
    }),
  };

  async function releaseSlot(slot: number): Promise<void> {
    const released = slotLink.release(slot);
    refuseHeld(slot);
    await released;
    slots.delete(slot);
    // Something may have come while it waited.
    refuseHeld(slot);
  }

  function refuseHeld(slot: number): void {
    for (const frame of [...leaseWait.forget(slot), ...gate.forget(slot)]) reader.refuse(frame);
  }

  async function close(): Promise<void> {
    // Shards hear what was gathered for them before anybody hears of this end.
    intake.flush();
    gate.close();
    leaseWait.close();
    lines.close();
    await slotLink.close();
  }
}

/** For which a taking waits until its slot is marked. */
const markMsMax = 2000;

/** Those that make sense without sockets. */
const callMetrics: ReadonlySet<string> = new Set([
  'fermata_calls_in_flight',
  'fermata_calls_total',
  'fermata_call_duration_seconds',
]);

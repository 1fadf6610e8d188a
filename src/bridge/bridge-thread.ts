/**
 * The life of a bridge thread, as main asks for it: start, then take and release (and forget) of slots as the node gets and
 * gives them; nextUnmarked, answered when there is a slot to mark as holding data, then marked or markAgain; shardLost and
 * shardBack as shards die and return, setPoison when a call is quarantined, takeSessionRecords about once per second, metrics
 * for each scrape, load for the directory; on the way down stopTaking, settled, close.
 *
 * Questions about slots and shards before `start` are an error of main's, so that none is lost in silence.
 */
import type { MessagePort } from 'node:worker_threads';
import { type Clock, systemClock } from '../host/clock.ts';
import { Lease } from '../host/lease.ts';
import { createLog, type Logger, type LogOptions } from '../host/log.ts';
import { LoopDelay } from '../host/loop-delay.ts';
import type { Sample } from '../host/meters.ts';
import type { Limits } from '../protocol/limits.ts';
import type { GatewayLink, SlotLink } from '../transport/contract.ts';
import { type Bridge, openBridge } from './bridge.ts';

export interface BridgeThreadData {
  /** The run of the process. */
  readonly boot: string;
  /** False where gateways of the same process count the same calls; true by default. */
  readonly countsCalls?: boolean;
  /** Memory of `Lease`. */
  readonly lease?: SharedArrayBuffer;
  readonly limits: Limits;
  /** One per shard. */
  readonly ports: readonly MessagePort[];
  readonly log: LogOptions;
}

/** A link whose shards may be replaced. */
type Link = GatewayLink & { replace(shard: number, port: MessagePort): void };

/** A way to NATS, made for this thread alone. */
export interface OpenedSlotLink {
  readonly slotLink: SlotLink;
  /** What it counts. */
  samples(): Promise<readonly Sample[]>;
  /** After the link was closed: lets go of what it goes over. */
  close(): Promise<void>;
}

/** @throws Error when NATS cannot be reached */
export type OpenSlotLink = (parts: { readonly log: Logger; readonly clock: Clock }) => Promise<OpenedSlotLink>;

export function bridgeThread(
  { boot, countsCalls = true, lease, limits, log }: BridgeThreadData,
  link: Link,
  openSlotLink: OpenSlotLink,
): Record<string, (argument: unknown) => unknown> {
  let opened: OpenedSlotLink | undefined;
  let bridge: Bridge | undefined;
  let closing: Promise<void> | undefined;
  const threadLog = createLog(log, 'bridge');
  const loopDelay = new LoopDelay('bridge');
  const started = (): Bridge => {
    if (bridge === undefined) throw new Error('the bridge was asked before it was started');
    return bridge;
  };
  return {
    async start() {
      opened = await openSlotLink({ log: threadLog, clock: systemClock });
      const { slotLink } = opened;
      const common = { boot, limits, log: threadLog, clock: systemClock };
      bridge = openBridge({ ...common, slotLink, link, holds: true, lease: lease && new Lease(lease) });
    },
    take(taken) {
      const { slot, epoch } = taken as { slot: number; epoch: number };
      return started().takeSlot(slot, epoch);
    },
    release: (slot) => started().releaseSlot(slot as number),
    forget: (slot) => started().forgetSlot(slot as number),
    nextUnmarked: () => started().gate.next(),
    marked: (slot) => started().gate.open(slot as number),
    markAgain: (slot) => started().gate.again(slot as number),
    setPoison: (fingerprints) => started().setPoison(fingerprints as string[]),
    shardLost(lost) {
      const { shard, call } = lost as { shard: number; call: number };
      return started().shardLost(shard, call);
    },
    shardBack(back) {
      const { shard, port } = back as { shard: number; port: MessagePort };
      link.replace(shard, port);
      started().shardBack(shard);
    },
    async metrics() {
      const ofNats = (await opened?.samples()) ?? [];
      return [...(countsCalls ? (bridge?.samples() ?? []) : []), ...ofNats, loopDelay.sample()];
    },
    load: () => bridge?.counts().calls ?? 0,
    takeSessionRecords: () => bridge?.takeSessionRecords() ?? [],
    stopTaking: () => bridge?.stopTaking(),
    settled: () => bridge?.settled(),
    close: () => (closing ??= close()),
  };

  async function close(): Promise<void> {
    await bridge?.close();
    await opened?.close();
  }
}

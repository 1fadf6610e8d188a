/**
 * Moves a slot from this node to another one while clients go on calling: their calls wait in the stream meanwhile.
 *
 *   preparing ─▶ draining ─▶ packing ─▶ shipping ─▶ receiving ─▶ handing over ─▶ starting ─▶ done
 *       │            │          files leave        the target has      the slot's       the target serves
 *       │            │          the service        and checked them    record changes
 *       ▼            └──────────┴──────────┴────────────┴── undoing: a new epoch, then served here again
 *     failed
 *
 * The record is the one place that says whose the slot is. Whoever cannot tell whether its change was accepted raises the slot's
 * epoch: when that is accepted, the change was not, and cannot be any more. What a crash leaves lies in folders that say how far
 * it came; the next start puts it right (src/cli/slot-moves.ts).
 *
 * Invariants: one move at a time · nothing of the slot is served here from `draining` on, until the record says that it is ours.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../host/log.ts';
import { type MoveState, type MoveStep, parseReceived } from './move-questions.ts';
import type { MovedFile, MoveName, MoveStore } from './move-store.ts';

/** What the slot's record, the slot's service and the control questions are to a move. */
export interface MoveCluster {
  /** Undefined when it is not this node's. */
  epochOf(slot: number): number | undefined;
  /** Whether calls of the slot are taken here. */
  isServed(slot: number): boolean;
  /** What was begun is answered; no more is taken. */
  giveUp(slot: number): Promise<void>;
  /** @throws Error when it is not ours any more, or nobody knows */
  handOver(move: MoveName, to: string): Promise<void>;
  /** @throws as handOver. The slot is served here again once it settles, or soon. */
  renumber(slot: number): Promise<void>;
  /** By the record itself. @throws Error when NATS does not answer */
  ownerOf(slot: number): Promise<string | undefined>;
  ask(node: string, op: string, argument: unknown, timeoutMs: number): Promise<unknown>;
}

/** The slot's files on this node's disk. */
export interface MoveFiles {
  /** What would be moved now. @throws Error when it cannot be */
  look(slot: number): { readonly tenants: number; readonly bytes: number; readonly format: number };
  /** Out of service, into a folder of the move. */
  pack(move: MoveName): Promise<readonly { readonly tenant: string; readonly path: string; readonly bytes: number }[]>;
  /** On disk before anybody is asked to change the record. */
  noteCommit(move: MoveName): void;
  /** They are another node's now. @returns where they are kept; undefined when there are none */
  keep(move: MoveName): string | undefined;
}

export interface MoveSourceParts {
  readonly self: string;
  readonly cluster: MoveCluster;
  readonly files: MoveFiles;
  readonly openStore: (check: () => void) => Promise<MoveStore>;
  readonly log: Logger;
}

const questionMs = 10_000;
/** How far it is, a target says at once. */
const lookMsMax = 2000;
const lookMs = 100;
/** A target that says nothing for so long is given up. */
const silentMsMax = 8000;
const serveMsMax = 60_000;
const pauseMs = 500;

export class MoveSource {
  readonly #parts: MoveSourceParts;
  #state: MoveState | undefined;
  #run: Promise<void> | undefined;
  #stopping = false;

  constructor(parts: MoveSourceParts) {
    this.#parts = parts;
  }

  /** Of the last one; undefined when there was none. */
  get state(): MoveState | undefined {
    return this.#state;
  }

  /** The slot that is on its way. */
  get moving(): number | undefined {
    return this.#run === undefined ? undefined : this.#state?.slot;
  }

  /** Begins it; `state` tells the rest. @throws Error when it cannot begin */
  begin(slot: number, to: string): void {
    const { self, cluster } = this.#parts;
    if (this.#stopping) throw new Error('this node stops');
    if (this.#run !== undefined)
      throw new Error(`slot ${this.#state?.slot} is being moved from this node; one move at a time, try again then`);
    const epoch = cluster.epochOf(slot);
    if (epoch === undefined) throw new Error(`slot ${slot} does not belong to this node`);
    if (to === self) throw new Error(`slot ${slot} is served by this node already`);
    if (!cluster.isServed(slot)) throw new Error(`slot ${slot} is only being started here; try again in a moment`);
    this.#state = {
      slot,
      to,
      step: 'preparing',
      tenants: 0,
      bytes: 0,
      shippedBytes: 0,
      error: undefined,
      keptIn: undefined,
      remark: undefined,
    };
    this.#run = this.#move({ slot, epoch }, to).finally(() => {
      this.#run = undefined;
    });
  }

  /** Ends what is not handed over; the next start of the node puts it back. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#run;
  }

  async #move(move: MoveName, to: string): Promise<void> {
    const { files, cluster, log } = this.#parts;
    const { slot } = move;
    try {
      const { tenants, bytes, format } = files.look(slot);
      this.#set({ tenants, bytes });
      await cluster.ask(to, 'prepare', { slot, bytes, format }, questionMs);
    } catch (error) {
      return this.#fail(error);
    }
    log.info({ ...move, to }, 'a slot is being moved to another node; its calls wait');
    const shipped: MovedFile[] = [];
    let store: MoveStore | undefined;
    let isTheirs = false;
    try {
      this.#begin('draining');
      await cluster.giveUp(slot);
      this.#begin('packing');
      const packed = await files.pack(move);
      this.#set({ tenants: packed.length, bytes: packed.reduce((sum, { bytes }) => sum + bytes, 0) });
      this.#begin('shipping');
      store = await this.#parts.openStore(() => this.#check());
      for (const { tenant, path } of packed) {
        shipped.push(
          await store.put(move, tenant, path, (bytes) => this.#set({ shippedBytes: this.#shipped + bytes })),
        );
      }
      await store.putManifest(move, shipped);
      this.#begin('receiving');
      await this.#received(move, to);
      this.#begin('handing over');
      files.noteCommit(move);
      await cluster.handOver(move, to);
      isTheirs = true;
    } catch (error) {
      isTheirs = await this.#undo(move, to, error);
    }
    await store?.remove(move, shipped);
    if (!isTheirs || this.#stopping) return;
    this.#set({ step: 'starting', error: undefined, keptIn: files.keep(move) });
    await this.#served(slot, to);
    this.#set({ step: 'done' });
    log.info({ ...move, to, keptIn: this.#state?.keptIn }, 'a slot was moved; its former files are kept');
  }

  /** Until the target has all of it, checked. @throws Error */
  async #received(move: MoveName, to: string): Promise<void> {
    const { cluster } = this.#parts;
    await cluster.ask(to, 'receive', move, questionMs);
    for (let heardMs = performance.now(); ; ) {
      this.#check();
      await delay(lookMs);
      try {
        const received = parseReceived(await cluster.ask(to, 'received', move, lookMsMax));
        heardMs = performance.now();
        if (received.state === 'ready') return;
        if (received.state === 'failed') throw new Refused(`node ${to} could not take it: ${received.message}`);
        if (received.state === 'none') throw new Refused(`node ${to} was started anew meanwhile`);
      } catch (error) {
        if (error instanceof Refused || performance.now() - heardMs > silentMsMax) throw error;
      }
    }
  }

  /** @returns whether it was handed over after all */
  async #undo({ slot, epoch }: MoveName, to: string, error: unknown): Promise<boolean> {
    const { self, cluster, log } = this.#parts;
    const reason = error instanceof Error ? error.message : String(error);
    log.warn({ slot, to, err: error }, 'a move failed; the slot is served here again');
    this.#set({ step: 'undoing', error: reason });
    while (!this.#stopping) {
      try {
        const owner = await cluster.ownerOf(slot);
        if (owner !== undefined && owner !== self) {
          if (owner === to) return true;
          this.#set({ step: 'failed', error: `${reason}; node ${owner} has taken the slot meanwhile` });
          return false;
        }
        // The former epoch is over: what was tried under it is refused from now on.
        await cluster.renumber(slot);
        break;
      } catch (again) {
        log.warn({ slot, err: again }, 'nobody can say yet whose a slot is; it is asked again, and not served before');
        await delay(pauseMs);
      }
    }
    if (this.#stopping) return false;
    try {
      await cluster.ask(to, 'discard', { slot, epoch }, questionMs);
    } catch {
      // It finds out by itself: the slot has another epoch.
    }
    for (let waitedMs = 0; !cluster.isServed(slot) && waitedMs < serveMsMax && !this.#stopping; waitedMs += lookMs) {
      await delay(lookMs);
    }
    this.#set({ step: 'failed' });
    return false;
  }

  async #served(slot: number, to: string): Promise<void> {
    const { cluster } = this.#parts;
    const untilMs = performance.now() + serveMsMax;
    while (!this.#stopping && performance.now() < untilMs) {
      try {
        const { serving } = Object(await cluster.ask(to, 'serving', { slot }, lookMsMax)) as { serving?: unknown };
        if (serving === true) return;
      } catch {
        // It may be busy with just that.
      }
      await delay(lookMs);
    }
    this.#set({ remark: `node ${to} owns the slot, but has not said yet that it serves it; its log says why` });
  }

  get #shipped(): number {
    return this.#state?.shippedBytes ?? 0;
  }

  /** @throws Error when the process stops */
  #check(): void {
    if (this.#stopping) throw new Error('the node stops');
  }

  #begin(step: MoveStep): void {
    this.#check();
    this.#set({ step });
  }

  #set(change: Partial<MoveState>): void {
    if (this.#state !== undefined) this.#state = { ...this.#state, ...change };
  }

  /** Before anything was done. */
  #fail(error: unknown): void {
    this.#set({ step: 'failed', error: error instanceof Error ? error.message : String(error) });
  }
}

/** The target has said no: asking again is of no use. */
class Refused extends Error {}

/**
 * The events of one actor: who listens, and up to where they were told.
 *
 * Only actors that keep a history number their events; the place is known once the server told it. From then on an event
 * that was told before is dropped, and a subscription goes on where the last one was. Numbers may have holes (events for
 * others), so that only the server can say that something is missing; when it does, it is told, before what follows.
 */
import type { StreamPosition } from '../protocol/messages.ts';
import { FermataError } from './error.ts';
import { Listeners } from './listeners.ts';

export interface EventOptions {
  /**
   * Events were missed that the server keeps no more: whatever was built from them must be built anew. Without it a gap
   * is reported to `onError`, as a FermataError with the code GAP.
   */
  readonly onGap?: (() => void) | undefined;
}

export class EventFeed {
  readonly #name: string;
  readonly #report: (error: unknown) => void;
  readonly #names = new Map<string, Listeners<unknown>>();
  readonly #gaps: Listeners<void>;
  /** Listeners that did not ask to be told of gaps. */
  #gapless = 0;
  #position: StreamPosition | undefined;
  /** The server was asked on this connection, and did not answer yet. */
  #asked = false;
  /** An answer that was to tell the first place was lost with its connection. */
  #lost = false;
  /** The server refused for good, and was not asked since. */
  #refused = false;
  /** Events were missed that the server is being asked for. */
  #behind = false;

  constructor(name: string, report: (error: unknown) => void) {
    this.#name = name;
    this.#report = report;
    this.#gaps = new Listeners(report);
  }

  get hasListeners(): boolean {
    return this.#names.size > 0;
  }

  /** Where a subscription goes on; undefined when it starts with what comes. */
  get position(): StreamPosition | undefined {
    return this.#position;
  }

  get refused(): boolean {
    return this.#refused;
  }

  /** Returns a function that removes the listener; true when it was still there. */
  add(event: string, listener: (payload: unknown) => void, { onGap }: EventOptions): () => boolean {
    const listeners = this.#names.get(event) ?? new Listeners(this.#report);
    this.#names.set(event, listeners);
    const remove = listeners.add(listener);
    const removeGap = onGap === undefined ? undefined : this.#gaps.add(onGap);
    if (removeGap === undefined) this.#gapless += 1;
    return () => {
      if (!remove()) return false;
      if (removeGap === undefined) this.#gapless -= 1;
      else removeGap();
      if (listeners.size === 0) this.#names.delete(event);
      if (this.#names.size === 0) this.#forget();
      return true;
    };
  }

  get asked(): boolean {
    return this.#asked;
  }

  /** The server was asked to go on from `position`. */
  ask(): void {
    this.#refused = false;
    this.#asked = true;
  }

  /** The server will send nothing, or nothing yet: that is an answer, so that nothing was missed. */
  refuse(forGood: boolean): void {
    this.#refused = forGood;
    this.#asked = false;
  }

  /** Another connection: nobody will answer what was asked on the last one. */
  lose(): void {
    if (this.#position === undefined) this.#lost ||= this.#asked;
    this.#asked = false;
  }

  /**
   * What follows comes after `position`. False when it is further on than the last event that was told: then the server, a
   * part of which was started anew, went on by itself, and has to be asked from here what there was between.
   */
  move({ epoch, seq }: StreamPosition, gap: boolean): boolean {
    const last = this.#position;
    const same = last?.epoch === epoch;
    this.#behind = same && !gap && seq > last.seq;
    if (this.#behind) return false;
    // A question whose answer was lost: what came between it and this one is not known to have been nothing.
    const missed = last === undefined ? this.#lost : !same;
    this.#asked = false;
    this.#lost = false;
    this.#position = { epoch, seq: same ? Math.max(last.seq, seq) : seq };
    if (gap || missed) this.#tellGap();
    return true;
  }

  tell(event: string, payload: unknown, seq: number | undefined): void {
    // It comes again, behind what was missed.
    if (this.#behind) return;
    if (this.#position !== undefined) {
      if (seq === undefined) {
        // The actor keeps no history any more: nobody can say what happened since the last event.
        this.#position = undefined;
        this.#tellGap();
      } else if (seq <= this.#position.seq) return;
      else this.#position = { epoch: this.#position.epoch, seq };
    }
    this.#names.get(event)?.tell(payload);
  }

  /** Removes every listener. */
  clear(): void {
    for (const listeners of this.#names.values()) listeners.clear();
    this.#names.clear();
    this.#gaps.clear();
    this.#gapless = 0;
    this.#forget();
  }

  #forget(): void {
    this.#position = undefined;
    this.#asked = false;
    this.#lost = false;
    this.#refused = false;
    this.#behind = false;
  }

  #tellGap(): void {
    const gapless = this.#gapless;
    this.#gaps.tell();
    if (gapless === 0) return;
    const message = `${this.#name}: events were missed that the server keeps no more`;
    this.#report(new FermataError('GAP', message, { outcome: 'unknown', retryable: false }));
  }
}

/**
 * One actor as a stock client sees it, shared by everybody who asked for it: subscribed to its events while there is a
 * listener, to its state while there is one, and told so again after each reconnect, events first.
 */
import type { PatchOp } from './stock-patches.ts';
import { StockStore } from './stock-store.ts';
import type { Frame } from './stock-watch.ts';

export interface StockWire {
  /** Dropped while there is no connection. */
  send(frame: Frame): void;
  call(actor: string, actorId: string, method: string, input: unknown): Promise<unknown>;
  release(handle: StockHandle): void;
  report(violation: string): void;
}

export class StockHandle {
  readonly actor: string;
  readonly actorId: string;
  /** How many asked for it and did not give it back. */
  holders = 0;
  readonly #wire: StockWire;
  readonly #listeners = new Map<string, Set<(payload: unknown) => void>>();
  readonly #store: StockStore;
  #hearsEvents = false;
  #seesState = false;

  constructor(actor: string, actorId: string, wire: StockWire) {
    this.actor = actor;
    this.actorId = actorId;
    this.#wire = wire;
    this.#store = new StockStore((violation) => wire.report(violation));
  }

  call(method: string, input?: unknown): Promise<unknown> {
    return this.#wire.call(this.actor, this.actorId, method, input);
  }

  on(event: string, listener: (payload: unknown) => void): () => void {
    if (!this.#hearsEvents) this.#send('event:sub');
    this.#hearsEvents = true;
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(event);
      if (this.#listeners.size === 0 && this.#hearsEvents) {
        this.#hearsEvents = false;
        this.#send('event:unsub');
      }
    };
  }

  get state(): unknown {
    return this.#store.state;
  }

  subscribe(listener: (state: unknown) => void = () => {}): () => void {
    if (!this.#seesState) this.#send('state:sub');
    this.#seesState = true;
    const leave = this.#store.subscribe(listener);
    return () => {
      leave();
      if (this.#store.listeners === 0 && this.#seesState) {
        this.#seesState = false;
        this.#send('state:unsub');
      }
    };
  }

  /** Gives it back; the last one to do so ends its subscriptions. */
  dispose(): void {
    this.#wire.release(this);
  }

  receive(frame: Frame): void {
    if (frame['type'] === 'state:snapshot') this.#store.set(frame['state']);
    else if (frame['type'] === 'state:patch') this.#store.apply(frame['patches'] as PatchOp[]);
    else for (const listener of this.#listeners.get(String(frame['event'])) ?? []) listener(frame['payload']);
  }

  /** After a (re)connect. */
  resubscribe(): void {
    if (this.#hearsEvents) this.#send('event:sub');
    if (this.#seesState) this.#send('state:sub');
  }

  end(): void {
    if (this.#hearsEvents) this.#send('event:unsub');
    if (this.#seesState) this.#send('state:unsub');
    this.#hearsEvents = false;
    this.#seesState = false;
    this.#listeners.clear();
    this.#store.clear();
  }

  #send(type: string): void {
    this.#wire.send({ type, actor: this.actor, actorId: this.actorId });
  }
}

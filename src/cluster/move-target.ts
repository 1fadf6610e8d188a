/**
 * Takes a slot that its owner moves here: fetches its files, checks each, and says that they are here. The slot is ours only
 * when its record says so; until then they lie aside.
 *
 * What lies here for a slot is thrown away as soon as it cannot be wanted any more: a newer move of it begins, its owner says
 * so, or the slot's record has another epoch than the one under which it was sent.
 */
import type { Logger } from '../host/log.ts';
import type { MoveName, MoveStore } from './move-store.ts';
import type { PrepareRequest, Received } from './move-questions.ts';

/** Where they are put on this node's disk. */
export interface ArrivalFiles {
  /** Why nothing can come now; undefined when it can. */
  refusal(request: PrepareRequest): string | undefined;
  /** Makes an empty place for the move, and throws away what lies there of former moves of the slot. */
  begin(move: MoveName): void;
  /** Where the tenant's file is written. */
  place(move: MoveName, tenant: string): string;
  /** @throws Error when a server could not serve from it */
  verify(path: string, tenant: string): Promise<void>;
  /** All of it is here, on disk and checked. */
  finish(move: MoveName): void;
  discard(move: MoveName): void;
}

export interface MoveTargetParts {
  readonly isOwner: (slot: number) => boolean;
  readonly files: ArrivalFiles;
  readonly openStore: (check: () => void) => Promise<MoveStore>;
  readonly log: Logger;
}

interface Arrival {
  readonly move: MoveName;
  received: Received;
  isUnwanted: boolean;
  ended: Promise<void>;
}

export class MoveTarget {
  readonly #parts: MoveTargetParts;
  #arrival: Arrival | undefined;

  constructor(parts: MoveTargetParts) {
    this.#parts = parts;
  }

  /** @throws Error when the slot cannot come */
  prepare(request: PrepareRequest): void {
    const { isOwner, files } = this.#parts;
    const { slot } = request;
    if (isOwner(slot)) throw new Error(`slot ${slot} belongs to the target already`);
    this.#refuseSecond(slot);
    const refusal = files.refusal(request);
    if (refusal !== undefined) throw new Error(refusal);
  }

  /** Begins to fetch it; `received` tells the rest. @throws Error */
  receive(move: MoveName): void {
    const { isOwner, files } = this.#parts;
    if (isOwner(move.slot)) throw new Error(`slot ${move.slot} belongs to the target already`);
    this.#refuseSecond(move.slot);
    if (this.#arrival !== undefined && this.#arrival.received.state === 'receiving')
      throw new Error(`slot ${move.slot} is on its way already`);
    files.begin(move);
    const arrival: Arrival = {
      move,
      received: { state: 'receiving', bytes: 0 },
      isUnwanted: false,
      ended: Promise.resolve(),
    };
    arrival.ended = this.#fetch(arrival);
    this.#arrival = arrival;
  }

  received({ slot, epoch }: MoveName): Received {
    const { move, received } = this.#arrival ?? {};
    if (move === undefined || received === undefined) return { state: 'none' };
    return move.slot === slot && move.epoch === epoch ? received : { state: 'none' };
  }

  /** The owner has given it up, and its epoch is over. */
  async discard(move: MoveName): Promise<void> {
    const arrival = this.#arrival;
    if (arrival?.move.slot === move.slot && arrival.move.epoch === move.epoch) {
      arrival.isUnwanted = true;
      await arrival.ended;
      this.#arrival = undefined;
    }
    if (!this.#parts.isOwner(move.slot)) this.#parts.files.discard(move);
  }

  /** Ends a fetch that is under way; what there is of it is thrown away at the next start. */
  async stop(): Promise<void> {
    if (this.#arrival === undefined) return;
    this.#arrival.isUnwanted = true;
    await this.#arrival.ended;
  }

  async #fetch(arrival: Arrival): Promise<void> {
    const { files, openStore, log } = this.#parts;
    const { move } = arrival;
    try {
      const store = await openStore(() => check(arrival));
      let bytes = 0;
      for (const file of await store.manifest(move)) {
        check(arrival);
        const path = files.place(move, file.tenant);
        await store.get(move, file, path, (more) => {
          bytes += more;
          arrival.received = { state: 'receiving', bytes };
        });
        await files.verify(path, file.tenant);
      }
      check(arrival);
      files.finish(move);
      arrival.received = { state: 'ready' };
      log.info({ ...move, bytes }, 'the files of a slot have come from another node, and are sound');
    } catch (error) {
      log.warn({ ...move, err: error }, 'the files of a slot could not be taken from another node');
      arrival.received = { state: 'failed', message: error instanceof Error ? error.message : String(error) };
    }
  }

  #refuseSecond(slot: number): void {
    const { move, received } = this.#arrival ?? {};
    if (move !== undefined && move.slot !== slot && received?.state === 'receiving')
      throw new Error(`the target is just taking slot ${move.slot}; one at a time, try again then`);
  }
}

function check({ isUnwanted }: Arrival): void {
  if (isUnwanted) throw new Error('the move was given up');
}

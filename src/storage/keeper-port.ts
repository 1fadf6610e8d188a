/**
 * The keeper over a message port: the shard's side, and the keeper's.
 *
 *   shard ── [committed | fenced | load | outcome | numbered | history]* ──▶ keeper      one message per tick, tuples in order
 *   shard ◀── [synced | quarantined | left | readOnly | stale | fence | answer | refusal]* ── keeper
 *
 * Order within a port is the contract's promise: a question is answered from every row that was handed over before it.
 * When the port closes, whoever still waits gets UNKNOWN; rows that were on their way lie in the journal and are replayed.
 */
import type { MessagePort } from 'node:worker_threads';
import type { Logger } from '../host/log.ts';
import type { Address } from '../protocol/address.ts';
import type { Stream } from '../protocol/envelope.ts';
import { AppError } from '../protocol/errors.ts';
import type { HistoryItem, JournalRow, Keeper, LoadedActor, NumberedCalls, StoredOutcome } from './contract.ts';
import type { KeeperCore } from './keeper.ts';
import { unanswered } from './refusals.ts';

type ToKeeper =
  | readonly [op: 'committed', journalSeq: number, body: string, atMs: number | undefined]
  | readonly [op: 'fenced', id: number, forgotten: number]
  | readonly [op: 'load', id: number, address: Address]
  | readonly [op: 'outcome', id: number, address: Address, key: string]
  | readonly [op: 'numbered', id: number, address: Address, client: string]
  | readonly [op: 'history', id: number, address: Address, stream: Stream, since: number];

type Question = Exclude<ToKeeper, readonly ['committed' | 'fenced', ...unknown[]]>;

type ToShard =
  | readonly [op: 'synced', journalSeq: number]
  | readonly [op: 'quarantined', address: Address]
  | readonly [op: 'left', slot: number, slots: number]
  | readonly [op: 'readOnly', tenant: string, readOnly: boolean]
  | readonly [op: 'stale', address: Address]
  | readonly [op: 'fence', id: number, forget: boolean]
  | readonly [op: 'answer', id: number, value: unknown]
  | readonly [op: 'refusal', id: number, code: string, message: string, retryAfterMs: number | undefined];

/** The shard's side. */
export function keeperPort(port: MessagePort): Keeper {
  return new PortKeeper(port);
}

/** The keeper's side: answers one shard until the port closes or the returned function is called. */
export function serveKeeper(core: KeeperCore, port: MessagePort, shard: number, log: Logger): () => void {
  const outbox = new Outbox<ToShard>(port);
  const fences = new Fences();
  const detach = core.attach(shard, {
    synced: (journalSeq) => outbox.add(['synced', journalSeq]),
    quarantined: (address) => outbox.add(['quarantined', address]),
    left: (slot, slots) => outbox.add(['left', slot, slots]),
    readOnly: (tenant, readOnly) => outbox.add(['readOnly', tenant, readOnly]),
    stale: (address) => outbox.add(['stale', address]),
    fence: (forget, overtakes) => fences.open(overtakes, (id) => outbox.add(['fence', id, forget])),
  });
  /** What a cut leaves out: its first row, and all that came behind it. */
  let late: ToKeeper[] | undefined;
  const receive = (message: ToKeeper): void => {
    if (message[0] === 'committed') return core.committed(shard, rowOf(message[1], message[2], message[3]));
    if (message[0] === 'fenced') return fences.settle(message[1], message[2]);
    // The tenant's file is being exchanged: that takes a moment, and the answer lies in the next one.
    const thawed = core.exchange.frozen((message[2] as Address | undefined)?.tenant ?? '');
    if (thawed === undefined) return outbox.add(answer(core, message, log));
    void thawed.then(() => outbox.add(answer(core, message, log)));
  };
  const take = (message: ToKeeper): void => {
    if (message[0] === 'fenced' && fences.overtakes(message[1])) return receive(message);
    if (late !== undefined) return void late.push(message);
    const over = message[0] === 'committed' ? core.cut.leavesOut(message[3]) : undefined;
    if (over === undefined) return receive(message);
    late = [message];
    void over.then(() => {
      const messages = late!;
      late = undefined;
      for (const each of messages) take(each);
    });
  };
  port.on('message', (messages: ToKeeper[]) => {
    for (const message of messages) take(message);
  });
  port.on('close', () => {
    detach();
    fences.fail();
  });
  return () => {
    detach();
    outbox.send();
    port.close();
  };
}

/** Never throws: an error that ended this thread would end every tenant's service, for the sake of one question. */
function answer(core: KeeperCore, question: Question, log: Logger): ToShard {
  const [op, id, address] = question;
  try {
    return ['answer', id, ask(core, question)];
  } catch (error) {
    const refusal = error instanceof AppError ? error : unanswered(error);
    if (refusal !== error) log.error({ ...address, op, err: error }, 'the keeper could not answer a question');
    return ['refusal', id, refusal.code, refusal.message, refusal.retryAfterMs];
  }
}

function ask(core: KeeperCore, question: Question): unknown {
  switch (question[0]) {
    case 'load':
      return core.load(question[2]);
    case 'outcome':
      return core.outcome(question[2], question[3]);
    case 'numbered':
      return core.numbered(question[2], question[3]);
    case 'history':
      return core.history(question[2], question[3], question[4]);
  }
}

class PortKeeper implements Keeper {
  readonly #port: MessagePort;
  readonly #outbox: Outbox<ToKeeper>;
  readonly #open = new Map<number, { resolve: (value: unknown) => void; reject: (error: AppError) => void }>();
  #nextId = 1;
  #closed = false;
  #synced: (journalSeq: number) => void = () => undefined;
  #quarantined: (address: Address) => void = () => undefined;
  #left: (slot: number, slots: number) => void = () => undefined;
  #readOnly: (tenant: string, readOnly: boolean) => void = () => undefined;
  #stale: (address: Address) => void = () => undefined;
  #fence: (forget: boolean) => number = () => 0;

  constructor(port: MessagePort) {
    this.#port = port;
    this.#outbox = new Outbox(port);
    port.on('close', () => this.#end());
  }

  load(address: Address): Promise<LoadedActor> {
    return this.#ask((id) => ['load', id, plain(address)]);
  }

  outcome(address: Address, key: string): Promise<{ args: string; outcome: StoredOutcome } | undefined> {
    return this.#ask((id) => ['outcome', id, plain(address), key]);
  }

  numbered(address: Address, client: string): Promise<Omit<NumberedCalls, 'client'> | undefined> {
    return this.#ask((id) => ['numbered', id, plain(address), client]);
  }

  history(address: Address, stream: Stream, since: number): Promise<readonly HistoryItem[] | undefined> {
    return this.#ask((id) => ['history', id, plain(address), stream, since]);
  }

  committed({ journalSeq, body, atMs }: JournalRow): void {
    if (!this.#closed) this.#outbox.add(['committed', journalSeq, body, atMs]);
  }

  onSynced(handler: (journalSeq: number) => void): void {
    this.#synced = handler;
    this.#listen();
  }

  onQuarantined(handler: (address: Address) => void): void {
    this.#quarantined = handler;
    this.#listen();
  }

  onLeft(handler: (slot: number, slots: number) => void): void {
    this.#left = handler;
    this.#listen();
  }

  onReadOnly(handler: (tenant: string, readOnly: boolean) => void): void {
    this.#readOnly = handler;
    this.#listen();
  }

  onStale(handler: (address: Address) => void): void {
    this.#stale = handler;
    this.#listen();
  }

  onFence(handler: (forget: boolean) => number): void {
    this.#fence = handler;
    this.#listen();
  }

  close(): void {
    if (this.#closed) return;
    this.#outbox.send();
    this.#end();
    this.#port.close();
  }

  #ask<T>(question: (id: number) => ToKeeper): Promise<T> {
    if (this.#closed) return Promise.reject(gone());
    this.#listen();
    const id = this.#nextId++;
    return new Promise<T>((resolve, reject) => {
      this.#open.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#outbox.add(question(id));
    });
  }

  /** Messages wait in the port until somebody listens, so that nothing the keeper says early is lost. */
  #listen(): void {
    if (this.#port.listenerCount('message') > 0) return;
    this.#port.on('message', (messages: ToShard[]) => {
      for (const message of messages) this.#receive(message);
    });
  }

  #receive(message: ToShard): void {
    if (message[0] === 'synced') return this.#synced(message[1]);
    if (message[0] === 'quarantined') return this.#quarantined(message[1]);
    if (message[0] === 'left') return this.#left(message[1], message[2]);
    if (message[0] === 'readOnly') return this.#readOnly(message[1], message[2]);
    if (message[0] === 'stale') return this.#stale(message[1]);
    if (message[0] === 'fence') return this.#outbox.add(['fenced', message[1], this.#fence(message[2])]);
    const open = this.#open.get(message[1]);
    this.#open.delete(message[1]);
    if (message[0] === 'answer') return open?.resolve(message[2]);
    const [, , code, text, retryAfterMs] = message;
    open?.reject(new AppError(code, text, retryAfterMs === undefined ? {} : { retryAfterMs }));
  }

  #end(): void {
    this.#closed = true;
    for (const { reject } of this.#open.values()) reject(gone());
    this.#open.clear();
  }
}

/** Gathers messages until the running task ends, then sends them as one. */
class Outbox<T> {
  readonly #port: MessagePort;
  #messages: T[] = [];

  constructor(port: MessagePort) {
    this.#port = port;
  }

  add(message: T): void {
    if (this.#messages.push(message) === 1) queueMicrotask(() => this.send());
  }

  send(): void {
    if (this.#messages.length === 0) return;
    const messages = this.#messages;
    this.#messages = [];
    this.#port.postMessage(messages);
  }
}

interface Fence {
  /** It is passed also by a shard whose later rows have to wait. */
  readonly overtakes: boolean;
  readonly resolve: (forgotten: number) => void;
  readonly reject: (error: AppError) => void;
}

/** Fences that a shard has not passed yet. */
class Fences {
  readonly #open = new Map<number, Fence>();
  #nextId = 1;

  open(overtakes: boolean, send: (id: number) => void): Promise<number> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#open.set(id, { overtakes, resolve, reject });
      send(id);
    });
  }

  overtakes(id: number): boolean {
    return this.#open.get(id)?.overtakes === true;
  }

  settle(id: number, forgotten: number): void {
    this.#open.get(id)?.resolve(forgotten);
    this.#open.delete(id);
  }

  fail(): void {
    for (const { reject } of this.#open.values()) reject(gone());
    this.#open.clear();
  }
}

function rowOf(journalSeq: number, body: string, atMs: number | undefined): JournalRow {
  return { journalSeq, body, ...(atMs === undefined ? {} : { atMs }) };
}

/** Callers may hang more on an address than can be cloned. */
function plain({ tenant, type, id }: Address): Address {
  return { tenant, type, id };
}

function gone(): AppError {
  return new AppError('UNKNOWN', 'The other side of the keeper has ended');
}

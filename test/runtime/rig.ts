/**
 * A shard in the test's own thread: real journal, real keeper core, real turns; only the gateways are played by the test.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AppDefinition } from '../../src/actor/definition.ts';
import { systemClock } from '../../src/host/clock.ts';
import { createLog } from '../../src/host/log.ts';
import type { Lease } from '../../src/host/lease.ts';
import { Vitals } from '../../src/host/vitals.ts';
import { decodeOutbound, InboundFrame, inboundOp, type SessionInfo } from '../../src/protocol/envelope.ts';
import type { ErrorBody } from '../../src/protocol/errors.ts';
import { defaultLimits, type Limits } from '../../src/protocol/limits.ts';
import { Shard } from '../../src/runtime/shard.ts';
import type { StreamPosition } from '../../src/protocol/messages.ts';
import type { Keeper } from '../../src/storage/contract.ts';
import { Journal } from '../../src/storage/journal.ts';
import { KeeperCore } from '../../src/storage/keeper.ts';
import { journalPath } from '../../src/storage/paths.ts';

const log = createLog({ level: 'silent', pretty: false }, 'test');

export type Reply = { ok: true; result: unknown; durable: boolean; seq: number } | { ok: false; error: ErrorBody };

/** What a session's socket would see, in order; `reply` records stand for the results of its calls. */
export type Seen =
  | { kind: 'message'; text: string }
  | { kind: 'reply'; call: number }
  | { kind: 'topic'; topic: number; text: string };

export class Rig {
  readonly dataDir: string;
  readonly journal: Journal;
  readonly keeper: KeeperCore;
  readonly shard: Shard;
  /** Everything that left the shard, in order. */
  readonly seen: Seen[] = [];
  readonly #replies = new Map<number, (reply: Reply) => void>();
  readonly #topics = new Map<number, Set<number>>();
  #receive!: (frame: string, gateway: number) => void;
  #nextCall = 1;
  #nextSession = 1;
  #stopped = false;
  readonly #run = systemClock.id();

  constructor(
    app: AppDefinition,
    options: {
      dataDir?: string;
      limits?: Partial<Limits>;
      wrapKeeper?: (keeper: Keeper) => Keeper;
      restarted?: boolean;
      lease?: Pick<Lease, 'held'>;
    } = {},
  ) {
    const limits: Limits = { ...defaultLimits, keeperDelayMs: 5, ...options.limits };
    this.dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'fermata-shard-'));
    this.journal = Journal.open(journalPath(this.dataDir, 0), 0, systemClock, options.lease);
    this.keeper = new KeeperCore({ dataDir: this.dataDir, limits, log, clock: systemClock, boot: this.#run });
    const keeper = inThread(this.keeper);
    const link = {
      gateways: 1,
      send: (_gateway: number, frame: string) => this.#show(frame),
      onFrame: (receive: (frame: string, gateway: number) => void) => {
        this.#receive = receive;
      },
      close: () => undefined,
    };
    this.shard = new Shard({
      app,
      journal: this.journal,
      keeper: options.wrapKeeper?.(keeper) ?? keeper,
      link,
      limits,
      clock: systemClock,
      vitals: new Vitals(),
      log,
      restarted: options.restarted ?? false,
    });
  }

  session(info: Partial<SessionInfo> = {}): number {
    const session = this.#nextSession++;
    const full: SessionInfo = {
      tenant: 't1',
      sessionId: `session-${session}-of-${this.#run}`,
      clientId: `client-${session}`,
      userId: null,
      claims: {},
      kind: 'ws',
      additions: true,
      ...info,
    };
    this.#send((frame) => frame.add([inboundOp.open, session, full]));
    return session;
  }

  end(session: number): void {
    this.#send((frame) => frame.add([inboundOp.end, session]));
  }

  call(
    session: number,
    type: string,
    id: string,
    method: string,
    input?: unknown,
    { key = '', ack = -1, deadlineMs = 0 }: { key?: string; ack?: number; deadlineMs?: number } = {},
  ): Promise<Reply> {
    return this.#ask((call) =>
      this.#send((frame) => frame.addCall(session, call, type, id, method, key, ack, deadlineMs, input)),
    );
  }

  read(session: number, type: string, id: string): Promise<Reply> {
    return this.#ask((call) => this.#send((frame) => frame.add([inboundOp.read, session, call, type, id])));
  }

  subscribe(session: number, type: string, id: string, stream: 'state' | 'event', since?: StreamPosition): void {
    const position = since === undefined ? ([] as const) : ([since.epoch, since.seq] as const);
    this.#send((frame) => frame.add([inboundOp.subscribe, session, type, id, stream, ...position]));
  }

  /** The session's actors are another process's now. */
  leave(session: number): void {
    this.#send((frame) => frame.add([inboundOp.leave, session]));
  }

  /** The session's connection is lost. */
  detach(session: number): void {
    this.#send((frame) => frame.add([inboundOp.detach, session]));
  }

  /** The gateway says that these are all its sessions. */
  present(sessions: readonly number[]): void {
    this.#send((frame) => frame.add([inboundOp.present, 0, sessions]));
  }

  unsubscribe(session: number, type: string, id: string, stream: 'state' | 'event'): void {
    this.#send((frame) => frame.add([inboundOp.unsubscribe, session, type, id, stream]));
  }

  /** Frames that a session got, as its socket would, parsed. */
  framesOf(session: number): Record<string, unknown>[] {
    return (this.#frames.get(session) ?? []).map((text) => JSON.parse(text) as Record<string, unknown>);
  }

  /** Stops cleanly; the data directory stays for a successor unless it is removed. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.shard.deactivateAll();
    await this.shard.stop();
    this.keeper.close();
  }

  /** As if the process had died here: what is committed stays, nobody is told goodbye. */
  async abandon(): Promise<void> {
    this.#stopped = true;
    await this.shard.drain();
    await this.shard.stop();
    this.keeper.close();
  }

  remove(): void {
    rmSync(this.dataDir, { recursive: true, force: true });
  }

  readonly #frames = new Map<number, string[]>();

  #ask(send: (call: number) => void): Promise<Reply> {
    const call = this.#nextCall++;
    return new Promise((resolve) => {
      this.#replies.set(call, resolve);
      send(call);
    });
  }

  #send(fill: (frame: InboundFrame) => void): void {
    const frame = new InboundFrame();
    fill(frame);
    this.#receive(frame.take()!, 0);
  }

  #show(frame: string): void {
    decodeOutbound(frame, (op, a, b, c, body) => {
      if (op === 'K')
        this.#settle(a, { ok: true, result: body === '' ? undefined : JSON.parse(body), durable: b === 1, seq: c });
      else if (op === 'E') this.#settle(a, { ok: false, error: JSON.parse(body) as ErrorBody });
      else if (op === 'M') this.#deliver(a, body);
      else if (op === 'T') this.#deliverAll(body);
      else if (op === 'S') this.#topicOf(b).add(a);
      else if (op === 'U') this.#topicOf(b).delete(a);
      else {
        this.seen.push({ kind: 'topic', topic: a, text: body });
        for (const session of this.#topicOf(a)) this.#keep(session, body);
      }
    });
  }

  #settle(call: number, reply: Reply): void {
    const settle = this.#replies.get(call);
    if (settle === undefined) throw new Error(`call ${call} was answered twice`);
    this.#replies.delete(call);
    this.seen.push({ kind: 'reply', call });
    settle(reply);
  }

  #deliver(session: number, text: string): void {
    this.seen.push({ kind: 'message', text });
    this.#keep(session, text);
  }

  #deliverAll(body: string): void {
    const end = body.indexOf(';');
    for (const session of body.slice(0, end).split(',')) this.#deliver(Number(session), body.slice(end + 1));
  }

  #keep(session: number, text: string): void {
    this.#frames.set(session, [...(this.#frames.get(session) ?? []), text]);
  }

  #topicOf(topic: number): Set<number> {
    let sessions = this.#topics.get(topic);
    if (sessions === undefined) this.#topics.set(topic, (sessions = new Set()));
    return sessions;
  }
}

/** The keeper core as a shard sees it, without the port between them. */
export function inThread(core: KeeperCore, shard = 0): Keeper {
  let detach: (() => void) | undefined;
  let synced: (journalSeq: number) => void = () => undefined;
  let quarantined: Parameters<Keeper['onQuarantined']>[0] = () => undefined;
  let fence: Parameters<Keeper['onFence']>[0] = () => 0;
  let left: Parameters<Keeper['onLeft']>[0] = () => undefined;
  let stale: Parameters<Keeper['onStale']>[0] = () => undefined;
  detach = core.attach(shard, {
    synced: (seq) => synced(seq),
    quarantined: (address) => quarantined(address),
    left: (slot, slots) => left(slot, slots),
    fence: async (forget) => fence(forget),
    stale: (address) => stale(address),
  });
  return {
    load: async (address) => core.load(address),
    outcome: async (address, key) => core.outcome(address, key),
    numbered: async (address, client) => core.numbered(address, client),
    history: async (address, stream, since) => core.history(address, stream, since),
    committed: (row) => core.committed(shard, row),
    onSynced: (handler) => {
      synced = handler;
    },
    onQuarantined: (handler) => {
      quarantined = handler;
    },
    onLeft: (handler) => {
      left = handler;
    },
    onReadOnly: () => undefined,
    onStale: (handler) => {
      stale = handler;
    },
    onFence: (handler) => {
      fence = handler;
    },
    close: () => detach?.(),
  };
}

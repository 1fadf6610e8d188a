/**
 * Sessions that move between gateway threads, of one process or of several, because their client came back through another.
 *
 *   new gateway ── ask: token, tenant, user ──▶ the one that the token names
 *               ◀── answer: the session, or nothing ──     where nobody finds it by then
 *               ── taken ──▶                               and which forgets it now
 *
 * A token is `<gateway's key>.<secret>`, so that each gateway knows at once whose it is; that one remembers for a while who has
 * the session now, because its client may come with the same token once more. All hear what is said on the channel;
 * what is not for this gateway, or no message, is ignored. With one gateway there is no channel.
 *
 * Invariants: a session that was given away is taken, also when its answer came too late for the one who asked, or ends where
 * it was · it is given to its own tenant and user, whoever sends it.
 */
import { randomBytes } from 'node:crypto';
import { isTenant } from '../protocol/address.ts';
import type { SessionInfo } from '../protocol/envelope.ts';
import type { SessionsChannel } from '../transport/sessions-channel.ts';

/** What a session is to its next gateway. */
export interface HandedSession {
  readonly info: SessionInfo;
  readonly connectedMs: number;
  /** Shards that know it. */
  readonly shards: readonly number[];
}

/** A session on its way to its next gateway. One of the two is called, once. */
export interface Gift {
  readonly handed: HandedSession;
  /** The other gateway has it. */
  taken(): void;
  /** The other gateway could not be told of it, or does not say that it has it. Ends it, which means nothing where it lives on. */
  lost(): void;
}

/** Who wants a session back. */
export interface Claimant {
  readonly token: string;
  readonly tenant: string;
  readonly userId: string | null;
}

/** The other gateways, through which clients may come back. */
export interface Peers {
  /** What they know this gateway by: lower-case letters and digits. */
  readonly key: string;
  /** Undefined when there are none. */
  readonly channel: SessionsChannel | undefined;
  /** Can there be a gateway of this key? */
  has(key: string): boolean;
  /** Do they go on when this gateway's process stops? */
  readonly outlive: boolean;
}

export interface HandoverOptions {
  /** Its channel is closed here. */
  readonly peers: Peers;
  /** Gives the session away, so that nobody finds it here any more, if it is here and the claimant's. */
  readonly give: (claimant: Claimant) => Gift | undefined;
  /** A session came for which nobody waits any more. */
  readonly onLate: (handed: HandedSession) => void;
}

interface Waiting {
  readonly claimant: Claimant;
  readonly done: Done;
  readonly timer: NodeJS.Timeout;
}

type Done = (handed: HandedSession | undefined) => void;

interface Ask {
  readonly kind: 'ask';
  readonly from: string;
  readonly to: string;
  readonly ask: number;
  readonly claimant: Claimant;
}

interface Answer {
  readonly kind: 'answer';
  readonly from: string;
  readonly to: string;
  readonly ask: number;
  readonly handed: HandedSession | undefined;
}

interface Taken {
  readonly kind: 'taken';
  readonly from: string;
  readonly to: string;
  readonly ask: number;
}

interface Given {
  readonly gift: Gift;
  readonly token: string;
  readonly timer: NodeJS.Timeout;
}

const answerMsMax = 1000;
const takenMsMax = 2000;
/** Sessions of which is known where they went. A client that never heard of the move is back within seconds. */
const movedMax = 4096;
const secretBytes = 24;
const keyPattern = /^[a-z0-9]{1,40}$/;
const tokenPattern = /^([a-z0-9]{1,40})\.[A-Za-z0-9_-]{32}$/;
/** Of ids that gateways make, with room. */
const idCharsMax = 256;

export class Handover {
  readonly #options: HandoverOptions;
  readonly #waiting = new Map<number, Waiting>();
  /** By who asked, and the number of the question. */
  readonly #given = new Map<string, Given>();
  /** Keys of the gateways that took sessions from here, by the token that these were asked for with; the oldest first. */
  readonly #moved = new Map<string, string>();
  #nextAsk = 1;

  constructor(options: HandoverOptions) {
    this.#options = options;
    options.peers.channel?.onMessage((data) => this.#hear(data));
  }

  /** A token that this gateway gives out. */
  newToken(): string {
    return `${this.#options.peers.key}.${randomBytes(secretBytes).toString('base64url')}`;
  }

  /** Asks the gateway that gave the token out. False when there is nobody to ask; `done` is not called then. */
  ask(claimant: Claimant, done: Done): boolean {
    const { peers } = this.#options;
    const to = this.#moved.get(claimant.token) ?? tokenPattern.exec(claimant.token)?.[1];
    if (peers.channel === undefined || to === undefined || to === peers.key || !peers.has(to)) return false;
    const ask = this.#nextAsk++;
    const timer = setTimeout(() => this.#settle(ask, undefined), answerMsMax).unref();
    this.#waiting.set(ask, { claimant, done, timer });
    this.#say({ kind: 'ask', from: peers.key, to, ask, claimant });
    return true;
  }

  close(): void {
    for (const { timer } of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
    // Were one of them not taken, the end of this gateway is its end.
    for (const name of this.#given.keys()) this.#forget(name)?.gift.taken();
    this.#options.peers.channel?.close();
  }

  #hear(data: unknown): void {
    const message = messageOf(data);
    if (message === undefined || message.to !== this.#options.peers.key) return;
    switch (message.kind) {
      case 'ask':
        return this.#answer(message);
      case 'answer':
        return this.#settle(message.ask, message);
      case 'taken':
        return this.#taken(message);
    }
  }

  #answer(asked: Ask): void {
    const { from, ask, claimant } = asked;
    const name = nameOf(asked);
    // Numbers are not used twice, but a peer may be wrong.
    if (this.#given.has(name)) return;
    const gift = this.#options.give(claimant);
    const { key } = this.#options.peers;
    // The one who has it answers in its own name. Passed on by the gateway that the token names alone, so at most once.
    const moved = claimant.token.startsWith(`${key}.`) ? this.#moved.get(claimant.token) : undefined;
    if (gift === undefined && moved !== undefined && moved !== from) return void this.#say({ ...asked, to: moved });
    const isSaid = this.#say({ kind: 'answer', from: key, to: from, ask, handed: gift?.handed });
    if (gift === undefined) return;
    if (!isSaid) return gift.lost();
    const timer = setTimeout(() => this.#forget(name)?.gift.lost(), takenMsMax).unref();
    this.#given.set(name, { gift, token: claimant.token, timer });
  }

  #taken(message: Taken): void {
    const given = this.#forget(nameOf(message));
    if (given === undefined) return;
    given.gift.taken();
    this.#moved.set(given.token, message.from);
    const [oldest] = this.#moved.keys();
    if (this.#moved.size > movedMax && oldest !== undefined) this.#moved.delete(oldest);
  }

  #forget(name: string): Given | undefined {
    const given = this.#given.get(name);
    this.#given.delete(name);
    clearTimeout(given?.timer);
    return given;
  }

  #settle(ask: number, answer: Answer | undefined): void {
    const waiting = this.#waiting.get(ask);
    const handed = answer?.handed;
    if (waiting !== undefined && handed !== undefined && !isOf(handed, waiting.claimant)) return;
    this.#waiting.delete(ask);
    clearTimeout(waiting?.timer);
    if (waiting !== undefined && handed !== undefined) this.#moved.delete(waiting.claimant.token);
    if (handed !== undefined) this.#say({ kind: 'taken', from: this.#options.peers.key, to: answer!.from, ask });
    if (waiting !== undefined) waiting.done(handed);
    else if (handed !== undefined) this.#options.onLate(handed);
  }

  #say(message: Ask | Answer | Taken): boolean {
    return this.#options.peers.channel?.post(message) ?? false;
  }
}

function nameOf({ from, ask }: Ask | Taken): string {
  return `${from} ${ask}`;
}

function isOf({ info }: HandedSession, { tenant, userId }: Claimant): boolean {
  return info.tenant === tenant && info.userId === userId;
}

type Fields = Readonly<Record<string, unknown>>;

/** What it names here, and nothing that its sender may have added. */
function messageOf(data: unknown): Ask | Answer | Taken | undefined {
  if (!isFields(data)) return undefined;
  const { kind, from, to, ask } = data;
  if (!isKey(from) || !isKey(to) || !isCount(ask)) return undefined;
  if (kind === 'taken') return { kind, from, to, ask };
  if (kind === 'ask') {
    const claimant = claimantOf(data['claimant']);
    return claimant === undefined ? undefined : { kind, from, to, ask, claimant };
  }
  if (kind !== 'answer') return undefined;
  if (data['handed'] === undefined) return { kind, from, to, ask, handed: undefined };
  const handed = handedOf(data['handed']);
  return handed === undefined ? undefined : { kind, from, to, ask, handed };
}

function claimantOf(value: unknown): Claimant | undefined {
  if (!isFields(value)) return undefined;
  const { token, tenant, userId } = value;
  return isText(token) && isTenant(tenant) && isUser(userId) ? { token, tenant, userId } : undefined;
}

function handedOf(value: unknown): HandedSession | undefined {
  if (!isFields(value)) return undefined;
  const { connectedMs, shards } = value;
  const info = infoOf(value['info']);
  if (info === undefined || !isCount(connectedMs) || !Array.isArray(shards) || !shards.every(isCount)) return undefined;
  return { info, connectedMs, shards };
}

function infoOf(value: unknown): SessionInfo | undefined {
  if (!isFields(value)) return undefined;
  const { tenant, sessionId, clientId, userId, claims, kind, additions } = value;
  if (kind !== 'ws' || additions !== true || !isTenant(tenant) || !isFields(claims)) return undefined;
  if (!isText(sessionId) || !isText(clientId) || !isUser(userId)) return undefined;
  return { tenant, sessionId, clientId, userId, claims, kind, additions };
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= idCharsMax;
}

function isUser(value: unknown): value is string | null {
  return value === null || isText(value);
}

function isKey(value: unknown): value is string {
  return typeof value === 'string' && keyPattern.test(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/**
 * Sessions that move between gateway threads, of one process or of several, because their client came back through another.
 *
 *   new gateway ── ask: token, tenant, user ──▶ the one that the token names
 *               ◀── answer: the session, or nothing ──     which has forgotten it by then
 *
 * A token is `<gateway's key>.<secret>`, so that each gateway knows at once whose it is. All hear what is said on the channel;
 * what is not for this gateway, or no message, is ignored. With one gateway there is no channel.
 *
 * Invariants: a session that was given away is taken, also when its answer came too late for the one who asked · it is
 * given to its own tenant and user, whoever sends it.
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
  /** Forgets the session and gives it away, if it is here and the claimant's. */
  readonly give: (claimant: Claimant) => HandedSession | undefined;
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
  readonly to: string;
  readonly ask: number;
  readonly handed: HandedSession | undefined;
}

const answerMsMax = 1000;
const secretBytes = 24;
const keyPattern = /^[a-z0-9]{1,40}$/;
const tokenPattern = /^([a-z0-9]{1,40})\.[A-Za-z0-9_-]{32}$/;
/** Of ids that gateways make, with room. */
const idCharsMax = 256;

export class Handover {
  readonly #options: HandoverOptions;
  readonly #waiting = new Map<number, Waiting>();
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
    const to = tokenPattern.exec(claimant.token)?.[1];
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
    this.#options.peers.channel?.close();
  }

  #hear(data: unknown): void {
    const message = messageOf(data);
    if (message === undefined || message.to !== this.#options.peers.key) return;
    if (message.kind === 'answer') return this.#settle(message.ask, message.handed);
    const handed = this.#options.give(message.claimant);
    this.#say({ kind: 'answer', to: message.from, ask: message.ask, handed });
  }

  #settle(ask: number, handed: HandedSession | undefined): void {
    const waiting = this.#waiting.get(ask);
    if (waiting !== undefined && handed !== undefined && !isOf(handed, waiting.claimant)) return;
    this.#waiting.delete(ask);
    clearTimeout(waiting?.timer);
    if (waiting !== undefined) waiting.done(handed);
    else if (handed !== undefined) this.#options.onLate(handed);
  }

  #say(message: Ask | Answer): void {
    this.#options.peers.channel?.post(message);
  }
}

function isOf({ info }: HandedSession, { tenant, userId }: Claimant): boolean {
  return info.tenant === tenant && info.userId === userId;
}

type Fields = Readonly<Record<string, unknown>>;

function messageOf(data: unknown): Ask | Answer | undefined {
  if (!isFields(data) || !isKey(data['to']) || !isCount(data['ask'])) return undefined;
  const { kind, from, claimant, handed } = data;
  if (kind === 'ask') return isKey(from) && isClaimant(claimant) ? (data as unknown as Ask) : undefined;
  if (kind === 'answer') return handed === undefined || isHanded(handed) ? (data as unknown as Answer) : undefined;
  return undefined;
}

function isClaimant(value: unknown): boolean {
  return isFields(value) && isText(value['token']) && isTenant(value['tenant']) && isUser(value['userId']);
}

function isHanded(value: unknown): boolean {
  if (!isFields(value) || !isCount(value['connectedMs']) || !Array.isArray(value['shards'])) return false;
  return value['shards'].every(isCount) && isInfo(value['info']);
}

function isInfo(info: unknown): boolean {
  if (
    !isFields(info) ||
    info['kind'] !== 'ws' ||
    info['additions'] !== true ||
    !isFields(info['claims']) ||
    !isUser(info['userId'])
  )
    return false;
  return isTenant(info['tenant']) && isText(info['sessionId']) && isText(info['clientId']);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && value.length <= idCharsMax;
}

function isUser(value: unknown): boolean {
  return value === null || isText(value);
}

function isKey(value: unknown): boolean {
  return typeof value === 'string' && keyPattern.test(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

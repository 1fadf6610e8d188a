/**
 * Sessions that move between the gateway threads of one process, because their client came back through another one.
 *
 *   new gateway ── ask: token, tenant, user ──▶ the one that the token names
 *               ◀── answer: the session, or nothing ──     which has forgotten it by then
 *
 * A token is `<gateway>.<secret>`, so that each gateway knows at once whose it is. The channel is named by the run of the
 * process; whatever else is said on it is ignored. With one gateway there is no channel.
 *
 * Invariant: a session that was given away is taken, also when its answer came too late for the one who asked.
 */
import { randomBytes } from 'node:crypto';
import { BroadcastChannel } from 'node:worker_threads';
import type { SessionInfo } from '../protocol/envelope.ts';

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

export interface HandoverOptions {
  readonly boot: string;
  readonly index: number;
  readonly gateways: number;
  /** Forgets the session and gives it away, if it is here and the claimant's. */
  readonly give: (claimant: Claimant) => HandedSession | undefined;
  /** A session came for which nobody waits any more. */
  readonly onLate: (handed: HandedSession) => void;
}

type Done = (handed: HandedSession | undefined) => void;

interface Ask {
  readonly kind: 'ask';
  readonly from: number;
  readonly to: number;
  readonly ask: number;
  readonly claimant: Claimant;
}

interface Answer {
  readonly kind: 'answer';
  readonly to: number;
  readonly ask: number;
  readonly handed: HandedSession | undefined;
}

const answerMsMax = 1000;
const secretBytes = 24;
const tokenPattern = /^(\d{1,4})\.[A-Za-z0-9_-]{32}$/;

export class Handover {
  readonly #options: HandoverOptions;
  readonly #channel: BroadcastChannel | undefined;
  readonly #waiting = new Map<number, { readonly done: Done; readonly timer: NodeJS.Timeout }>();
  #nextAsk = 1;

  constructor(options: HandoverOptions) {
    this.#options = options;
    if (options.gateways <= 1) return;
    const channel = new BroadcastChannel(`fermata sessions ${options.boot}`);
    channel.addEventListener('message', (event) => this.#hear((event as MessageEvent).data));
    // The package's types lack it. An open channel alone must not keep the thread alive.
    (channel as unknown as { unref(): void }).unref();
    this.#channel = channel;
  }

  /** A token that this gateway gives out. */
  newToken(): string {
    return `${this.#options.index}.${randomBytes(secretBytes).toString('base64url')}`;
  }

  /** Asks the gateway that gave the token out. False when there is nobody to ask; `done` is not called then. */
  ask(claimant: Claimant, done: Done): boolean {
    const { index, gateways } = this.#options;
    const to = Number(tokenPattern.exec(claimant.token)?.[1] ?? index);
    if (this.#channel === undefined || to === index || to >= gateways) return false;
    const ask = this.#nextAsk++;
    const timer = setTimeout(() => this.#settle(ask, undefined), answerMsMax).unref();
    this.#waiting.set(ask, { done, timer });
    this.#say({ kind: 'ask', from: index, to, ask, claimant });
    return true;
  }

  close(): void {
    for (const { timer } of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
    this.#channel?.close();
  }

  #hear(data: unknown): void {
    const message = messageOf(data);
    if (message === undefined || message.to !== this.#options.index) return;
    if (message.kind === 'answer') return this.#settle(message.ask, message.handed);
    const handed = this.#options.give(message.claimant);
    this.#say({ kind: 'answer', to: message.from, ask: message.ask, handed });
  }

  #settle(ask: number, handed: HandedSession | undefined): void {
    const waiting = this.#waiting.get(ask);
    this.#waiting.delete(ask);
    clearTimeout(waiting?.timer);
    if (waiting !== undefined) waiting.done(handed);
    else if (handed !== undefined) this.#options.onLate(handed);
  }

  #say(message: Ask | Answer): void {
    this.#channel?.postMessage(message);
  }
}

type Fields = Readonly<Record<string, unknown>>;

function messageOf(data: unknown): Ask | Answer | undefined {
  if (!isFields(data) || !isCount(data['to']) || !isCount(data['ask'])) return undefined;
  const { kind, from, claimant, handed } = data;
  if (kind === 'ask') return isCount(from) && isClaimant(claimant) ? (data as unknown as Ask) : undefined;
  if (kind === 'answer') return handed === undefined || isHanded(handed) ? (data as unknown as Answer) : undefined;
  return undefined;
}

function isClaimant(value: unknown): boolean {
  return isFields(value) && isText(value['token']) && isText(value['tenant']) && isUser(value['userId']);
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
  return isText(info['tenant']) && isText(info['sessionId']) && isText(info['clientId']);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function isUser(value: unknown): boolean {
  return value === null || isText(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

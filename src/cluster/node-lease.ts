/**
 * The node's record in the bucket of slots, and with it the lease: this process may commit for `leaseMs` after each renewal.
 *
 *   start ──▶ record (epoch + 1, this boot) ──▶ renewed every third of a lease ──▶ `stopped`
 *                                                   │ refused: somebody else wrote the record
 *                                                   └──▶ deposed: the lease ends at once, the process has to go
 *
 * A renewal follows the revision of the one before. While NATS is away none succeeds and the lease lapses; when it is back and
 * nobody has written meanwhile, the next renewal succeeds and everything goes on.
 *
 * Invariant: the lease is counted from before the renewal was sent, so that it has ended here before `leaseMs` have passed for
 * anybody who saw the record change.
 */
import type { Clock } from '../host/clock.ts';
import { type Lease, processMonotonicMs } from '../host/lease.ts';
import type { Logger } from '../host/log.ts';
import { LogGate } from '../host/log-gate.ts';
import { nextEpoch, type NodeRecord, nodeKey, parseNode } from './slot-records.ts';
import type { SlotStore } from './slot-store.ts';

export interface NodeLeaseParts {
  readonly id: string;
  readonly store: SlotStore;
  readonly lease: Lease;
  readonly leaseMs: number;
  /** Id of this process's run. */
  readonly boot: string;
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly log: Logger;
  /** Once. The reason is a sentence for people. */
  readonly onDeposed: (why: string) => void;
}

/** Refusals in a row that turn out to be echoes of own writes; more mean that something else is wrong. */
const attemptsMax = 8;

export class NodeLease {
  readonly #parts: NodeLeaseParts;
  readonly #key: string;
  readonly #lines: LogGate;
  #epoch = 0;
  #revision = 0;
  #state: 'new' | 'up' | 'deposed' | 'stopped' = 'new';
  #timer: NodeJS.Timeout | undefined;
  #renewing: Promise<void> | undefined;
  /** It was not renewed in time, and that was logged. */
  #hasLapsed = false;

  constructor(parts: NodeLeaseParts) {
    this.#parts = parts;
    this.#key = nodeKey(parts.id);
    this.#lines = new LogGate(parts.log, parts.clock.monotonic);
    parts.store.onChange(() => this.#look());
  }

  get epoch(): number {
    return this.#epoch;
  }

  get isDeposed(): boolean {
    return this.#state === 'deposed';
  }

  /** Takes the lease, from a former holder too. @throws Error when NATS does not answer, or the record cannot be read */
  async start(): Promise<void> {
    const { store, id, boot, clock } = this.#parts;
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const found = await store.read(this.#key);
      const former = found?.text === undefined ? undefined : parseNode(found.text);
      if (found?.text !== undefined && former === undefined)
        throw new Error(
          `the record of node ${id} in NATS cannot be read: a newer version of Fermata may have written it`,
        );
      this.#revision = found?.revision ?? 0;
      this.#epoch = former?.boot === boot ? former.epoch : nextEpoch(former?.epoch ?? 0, clock.now());
      if (!(await this.#write('up'))) continue;
      this.#state = 'up';
      this.#renewIn(this.#parts.leaseMs / 3);
      return;
    }
    throw new Error(`node ${id} cannot take its lease: other processes start under the same id at the same time`);
  }

  /** Says that the node has gone on purpose. Its slots stay its own. When NATS does not answer, silence has to say it. */
  async stop(): Promise<void> {
    const { store, lease, log } = this.#parts;
    const wasUp = this.#state === 'up';
    if (wasUp) this.#state = 'stopped';
    clearTimeout(this.#timer);
    await this.#renewing;
    lease.end();
    this.#lines.close();
    if (!wasUp || this.isDeposed) return;
    try {
      // Nobody waits for one that is away: a stop has little time.
      if (!store.connected) throw new Error('there is no connection to NATS');
      for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
        if ((await this.#write('stopped')) || !(await this.#isOwn())) return;
      }
    } catch (error) {
      log.warn({ err: error }, 'NATS was not told that this node stops; it will count as lost after its lease');
    }
  }

  /** The watch is quicker than the next renewal. */
  #look(): void {
    if (this.#state !== 'up') return;
    const { store, id, lease } = this.#parts;
    const seen = store.view.nodes.get(id);
    if (seen?.record !== undefined && seen.revision > this.#revision && !this.#isByUs(seen.record)) {
      this.#depose(seen.record);
    } else if (store.connected && (!lease.held || seen?.deleted === true)) {
      this.#renewIn(0);
    }
  }

  #renewIn(ms: number): void {
    if (this.#state !== 'up' || (this.#renewing !== undefined && ms === 0)) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#renewing = this.#renew().finally(() => {
        this.#renewing = undefined;
      });
    }, ms).unref();
  }

  async #renew(): Promise<void> {
    const { leaseMs, lease, clock } = this.#parts;
    const beganMs = clock.monotonic();
    let nextMs = leaseMs / 3;
    try {
      if (!this.#parts.store.connected) throw new Error('there is no connection to NATS');
      if (!(await this.#renewed())) return;
      if (this.#hasLapsed) this.#parts.log.info('the lease is renewed; calls that change state are accepted');
      this.#hasLapsed = false;
    } catch (error) {
      nextMs = leaseMs / 10;
      if (!lease.held && !this.#hasLapsed && this.#state === 'up') {
        this.#hasLapsed = true;
        this.#parts.log.error(
          { err: error },
          'the lease has lapsed; calls that change state are refused until NATS renews it',
        );
      } else {
        this.#lines.write('renewal', 'warn', { err: error }, 'the lease could not be renewed; trying again');
      }
    }
    this.#renewIn(Math.max(1, nextMs - (clock.monotonic() - beganMs)));
  }

  /** False: deposed, and told. @throws Error when NATS does not answer */
  async #renewed(): Promise<boolean> {
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      if (await this.#write('up')) return true;
      if (!(await this.#isOwn())) return false;
    }
    throw new Error('NATS refuses the renewal again and again');
  }

  /** False when it was refused. @throws Error */
  async #write(state: NodeRecord['state']): Promise<boolean> {
    const { store, lease, leaseMs, boot, clock } = this.#parts;
    const askedMonotonicMs = processMonotonicMs();
    const askedWallMs = Date.now();
    const record: NodeRecord = { epoch: this.#epoch, boot, state, leaseMs, atMs: clock.now() };
    const revision = await store.write(this.#key, record, this.#revision);
    if (revision === undefined) return false;
    this.#revision = revision;
    if (state === 'up' && this.#state !== 'stopped') lease.renew(askedMonotonicMs, askedWallMs, leaseMs);
    return true;
  }

  /** After a refusal: was it a write of our own without an answer, or is the record lost? Otherwise we are deposed. @throws Error */
  async #isOwn(): Promise<boolean> {
    const found = await this.#parts.store.read(this.#key);
    const record = found?.text === undefined ? undefined : parseNode(found.text);
    if (found?.text === undefined || (record !== undefined && this.#isByUs(record))) {
      this.#revision = found?.revision ?? 0;
      return true;
    }
    this.#depose(record);
    return false;
  }

  #isByUs({ boot, state }: NodeRecord): boolean {
    return boot === this.#parts.boot && state !== 'deposed';
  }

  /** By what stands in the record now. */
  #depose(record: NodeRecord | undefined): void {
    const { lease, onDeposed } = this.#parts;
    lease.end();
    clearTimeout(this.#timer);
    if (this.#state !== 'up') return;
    this.#state = 'deposed';
    onDeposed(
      record?.state === 'deposed'
        ? 'another node has deposed this one, which was silent for too long'
        : 'another process runs under this node id; two data directories must never share one',
    );
  }
}

/**
 * What becomes of a shard's answer on an HTTP exchange. An exchange that was aborted meanwhile takes it and does nothing.
 */
import { crc32 } from 'node:zlib';
import type { ErrorBody } from '../protocol/errors.ts';
import type { Exchange } from './exchange.ts';
import type { Waiter } from './pending.ts';

export class CallWaiter implements Waiter {
  readonly #exchange: Exchange;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  ok(result: string, durable: boolean): void {
    const fields = result === '' ? [] : [`"result":${result}`];
    // Said only when it is not the rule: nothing of this actor type survives the process.
    if (!durable) fields.push('"durable":false');
    this.#exchange.json(200, `{${fields.join(',')}}`);
  }

  failed(error: ErrorBody): void {
    this.#exchange.fail(error);
  }
}

export class ReadWaiter implements Waiter {
  readonly #exchange: Exchange;
  /** The header If-None-Match. */
  readonly #known: string;

  constructor(exchange: Exchange, known: string) {
    this.#exchange = exchange;
    this.#known = known;
  }

  ok(state: string, _durable: boolean, seq: number): void {
    // The number alone comes again: after a restore, a restart of a memory actor, a new version of its schema.
    const etag = `"${seq}-${crc32(state).toString(36)}"`;
    const unchanged = this.#known.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
    if (unchanged) this.#exchange.json(304, '', [['ETag', etag]]);
    else this.#exchange.json(200, state === '' ? 'null' : state, [['ETag', etag]]);
  }

  failed(error: ErrorBody): void {
    this.#exchange.fail(error);
  }
}

/**
 * Publishing and subscribing on one connection, for a link. Nothing leaves without a connection, and nothing waits for one
 * here; what the server refuses is logged, and nobody is thrown at.
 */
import type { Msg, NatsConnection, Subscription } from 'nats';
import type { LogGate } from '../host/log-gate.ts';
import { headerBytesMax } from './nats-bounds.ts';
import { type ConnectionStatus, watchConnection } from './nats-status.ts';

export class NatsPost {
  readonly nc: NatsConnection;
  readonly #gate: LogGate;
  readonly #status: ConnectionStatus;
  readonly #subscriptions: Subscription[] = [];
  #payloadBytesMax = 1024 * 1024;
  #closed = false;

  constructor(nc: NatsConnection, gate: LogGate, onConnection: (up: boolean) => void) {
    this.nc = nc;
    this.#gate = gate;
    this.#status = watchConnection(nc, (up) => {
      if (!this.#closed) onConnection(up);
    });
  }

  get up(): boolean {
    return this.#status.up;
  }

  /** What the body of a message may have; the server says it anew with every connection. */
  get bodyBytesMax(): number {
    this.#payloadBytesMax = this.nc.info?.max_payload ?? this.#payloadBytesMax;
    return this.#payloadBytesMax - headerBytesMax;
  }

  publish(subject: string, data: Uint8Array | string, reply = ''): void {
    if (!this.#status.up || this.#closed) return;
    try {
      this.nc.publish(subject, data, { reply });
    } catch (error) {
      this.#gate.write('publish', 'error', { subject, error: String(error) }, 'a message to NATS could not be sent');
    }
  }

  subscribe(subject: string, receive: (message: Msg) => void): void {
    const callback = (error: Error | null, message: Msg): void => {
      if (this.#closed) return;
      if (error === null) receive(message);
      else this.#gate.write('denied', 'error', { subject, error: error.message }, 'NATS refuses a subscription');
    };
    this.#subscriptions.push(this.nc.subscribe(subject, { callback }));
  }

  /** Hears and says nothing more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#status.stop();
    if (this.nc.isClosed() || this.nc.isDraining()) return;
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
  }
}

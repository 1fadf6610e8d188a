/** What a gateway counts. Owned by `gateway.ts`, told to main when it asks. */
import type { Clock } from '../host/clock.ts';
import { Histogram, type Sample, sample, samples, Tally } from '../host/meters.ts';
import { type ErrorBody, errorCodes, type Outcome } from '../protocol/errors.ts';
import { closeCodes } from '../protocol/messages.ts';

/** Normal, going away, no code, no close frame, and ours; a client may send any. */
const knownCloses: ReadonlySet<number> = new Set([1000, 1001, 1005, 1006, ...Object.values(closeCodes)]);

const refusalCodes = Object.entries(errorCodes).flatMap(([code, { outcome }]) =>
  outcome === 'rejected' ? [code] : [],
);

export class GatewayMeters {
  #messagesReceived = 0;
  #bytesReceived = 0;
  #messagesSent = 0;
  #bytesSent = 0;
  readonly #monotonic: () => number;
  readonly #calls: Record<Outcome, number> = { ok: 0, failed: 0, rejected: 0, unknown: 0 };
  readonly #refusals = new Tally(refusalCodes);
  readonly #closes = new Tally(Array.from(knownCloses, String));
  readonly #durations = new Histogram('fermata_call_duration_seconds');
  #nowMs = 0;

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#monotonic = clock.monotonic;
  }

  /** Answers are about to be handed on. One look at the clock serves them all. */
  beginAnswers(): void {
    this.#nowMs = this.#monotonic();
  }

  answered(outcome: Outcome, arrivedMs: number): void {
    this.#calls[outcome] += 1;
    this.#durations.observe((this.#nowMs - arrivedMs) / 1000);
  }

  /** A call that was refused here and never handed on. */
  turnedAway(): void {
    this.#calls.rejected += 1;
  }

  /** A client is told of an error. Only refusals count: what a handler said is its own affair. */
  told({ code, outcome }: Pick<ErrorBody, 'code' | 'outcome'>): void {
    if (outcome === 'rejected') this.#refusals.add(code);
  }

  received(bytes: number): void {
    this.#messagesReceived += 1;
    this.#bytesReceived += bytes;
  }

  sent(bytes: number, messages = 1): void {
    this.#messagesSent += messages;
    this.#bytesSent += bytes * messages;
  }

  closed(code: number): void {
    this.#closes.add(knownCloses.has(code) ? String(code) : 'other');
  }

  samples(counts: { readonly sockets: number; readonly detached: number; readonly calls: number }): Sample[] {
    return [
      sample('fermata_sockets', counts.sockets),
      samples('fermata_sessions', 'state', [
        ['attached', counts.sockets],
        ['detached', counts.detached],
      ]),
      sample('fermata_calls_in_flight', counts.calls),
      samples('fermata_calls_total', 'outcome', Object.entries(this.#calls)),
      this.#durations.sample(),
      this.#refusals.sample('fermata_refusals_total', 'code'),
      this.#closes.sample('fermata_socket_closes_total', 'code'),
      sample('fermata_messages_received_total', this.#messagesReceived),
      sample('fermata_received_bytes_total', this.#bytesReceived),
      sample('fermata_messages_sent_total', this.#messagesSent),
      sample('fermata_sent_bytes_total', this.#bytesSent),
    ];
  }
}

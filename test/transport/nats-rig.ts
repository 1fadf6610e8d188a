/**
 * Links over a real nats-server for tests: connections that close themselves at the end, keys that are never used twice, and
 * gateways that present themselves as real ones do.
 */
import { connect, type NatsConnection } from 'nats';
import pino from 'pino';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { type Clock, systemClock } from '../../src/host/clock.ts';
import { inboundOp } from '../../src/protocol/envelope.ts';
import type { SlotFrame } from '../../src/transport/contract.ts';
import { type NatsGatewayLink, natsGatewayLink } from '../../src/transport/nats-gateway-link.ts';
import { type NatsSlotLink, natsSlotLink } from '../../src/transport/nats-slot-link.ts';
import { ensureStreams } from '../../src/transport/nats-streams.ts';
import { NatsServer, type NatsServerOptions } from '../support/nats-server.ts';

export const silent = pino({ level: 'silent' });
export const onePresent = JSON.stringify([[inboundOp.present, 0, []]]);
const streams = { replicas: 1 };
let keys = 0;

export class NatsRig {
  readonly server: NatsServer;
  readonly #closers: (() => unknown)[] = [];

  private constructor(server: NatsServer) {
    this.server = server;
  }

  static async start(options: NatsServerOptions = {}): Promise<NatsRig> {
    const rig = new NatsRig(await NatsServer.start(options));
    await ensureStreams(await rig.connection(), streams);
    return rig;
  }

  async connection(): Promise<NatsConnection> {
    const nc = await connect({
      servers: this.server.url,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
      pingInterval: 500,
    });
    this.#closers.push(() => nc.close());
    return nc;
  }

  async gateway(clock: Clock = systemClock): Promise<TestGateway> {
    const nc = await this.connection();
    const gateway = newKey('gateway');
    const link = natsGatewayLink(nc, { gateway, log: silent, clock, streams });
    this.#closers.push(() => link.close());
    return new TestGateway(link, gateway, nc);
  }

  async runtime(clock: Clock = systemClock): Promise<TestRuntime> {
    const nc = await this.connection();
    const link = natsSlotLink(nc, { runtime: newKey('runtime'), log: silent, clock, streams });
    this.#closers.push(() => link.close());
    return new TestRuntime(link, nc);
  }

  /** Ends all links and connections; the server stays. */
  async end(): Promise<void> {
    for (const close of this.#closers.splice(0).toReversed()) await close();
  }

  async close(): Promise<void> {
    await this.end();
    await this.server.close();
  }
}

/** One server for all tests of a file; links and connections end with the test that opened them. */
export function sharedRig(): () => NatsRig {
  let rig: NatsRig;
  beforeAll(async () => {
    rig = await NatsRig.start();
  });
  afterEach(() => rig.end());
  afterAll(() => rig.close());
  return () => rig;
}

export function newKey(of: string): string {
  keys += 1;
  return `${of}${String(keys).padStart(8, '0')}${process.pid}`;
}

/** A clock that can be put forward. */
export function skippingClock() {
  const state = { skippedMs: 0 };
  return {
    clock: { ...systemClock, monotonic: () => systemClock.monotonic() + state.skippedMs },
    skip: (ms: number): void => {
      state.skippedMs += ms;
    },
  };
}

/** A gateway that writes down what it hears. */
export class TestGateway {
  readonly link: NatsGatewayLink;
  readonly key: string;
  readonly nc: NatsConnection;
  readonly answers: string[] = [];
  readonly lost: number[] = [];
  readonly turnovers: number[] = [];

  constructor(link: NatsGatewayLink, key: string, nc: NatsConnection) {
    this.link = link;
    this.key = key;
    this.nc = nc;
    link.onTurnover((slot) => {
      this.turnovers.push(slot);
      link.send(slot, onePresent);
    });
    link.onLost((slot) => this.lost.push(slot));
    link.onFrame((frame) => this.answers.push(frame));
  }

  /** A frame of one word. */
  send(slot: number, word: string): void {
    this.link.send(slot, JSON.stringify([word]));
  }
}

/** A runtime that writes down what it hears, and answers at once unless it is told to wait. */
export class TestRuntime {
  readonly link: NatsSlotLink;
  readonly nc: NatsConnection;
  readonly frames: SlotFrame[] = [];
  readonly words: string[] = [];
  readonly gone: string[] = [];
  answering = true;

  constructor(link: NatsSlotLink, nc: NatsConnection) {
    this.link = link;
    this.nc = nc;
    link.onGatewayGone((gateway) => this.gone.push(gateway));
    link.onFrame((frame) => {
      this.frames.push(frame);
      if (frame.kind === 'presence') return;
      this.words.push(wordOf(frame));
      if (this.answering) this.answer(frame);
    });
  }

  get calls(): SlotFrame[] {
    return this.frames.filter(({ kind }) => kind === 'calls');
  }

  answer(frame: SlotFrame): void {
    this.link.send(frame.gateway, frame.slot, `re ${wordOf(frame)}`);
    frame.done();
  }
}

export function wordOf({ text, late }: SlotFrame): string {
  return `${JSON.parse(text)[0]}${late ? ' late' : ''}`;
}

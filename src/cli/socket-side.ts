/**
 * The side of a server that owns sockets: the gateways, from their first thread to the last reply on its way.
 *
 * Its methods are rows of the list in serve.ts, start and stop, in the order in which they stand here.
 */
import { randomInt } from 'node:crypto';
import type { MessagePort } from 'node:worker_threads';
import type { NatsConfig } from '../host/config.ts';
import type { Thread } from '../host/thread.ts';
import type { LoadedType } from '../runtime/shard-thread.ts';
import { announceReady } from './announcement.ts';
import { readOrCreateDevSecret } from './dev-secret.ts';
import { Gateways, gatewaySettings } from './gateways.ts';
import type { Fronts, ServerParts } from './server-parts.ts';
import { listenError } from './start-error.ts';

/** Milliseconds over which clients spread their reconnects after a stop. */
const reconnectMsMax = 2000;
/** Milliseconds that sockets get at least to take what was sent to them. */
const socketsDrainMsMin = 500;

/** Where calls go: to shards of this process, by cables, or to NATS. */
export type CallsTo =
  | {
      readonly kind: 'shards';
      /** `cables[g]` are gateway g's ends. */
      readonly cables: readonly MessagePort[][];
      readonly connect: (gateway: number, ports: readonly MessagePort[]) => Promise<void>;
      readonly onLost: (gateway: number) => void;
      readonly onBack: (thread: Thread) => Promise<void>;
    }
  | { readonly kind: 'nats'; readonly nats: NatsConfig };

export class SocketSide {
  readonly #parts: ServerParts;
  #gateways: Gateways | undefined;
  #port = 0;

  constructor(parts: ServerParts) {
    this.#parts = parts;
  }

  get fronts(): Fronts {
    return this.#gateways!;
  }

  get port(): number {
    return this.#port;
  }

  spawn(to: CallsTo): void {
    const { config, log, logOptions, phase, boot, restarts, stopping } = this.#parts;
    const devSecret =
      config.dev && config.auth.secret === undefined ? readOrCreateDevSecret(config.dataDir) : undefined;
    const nats = to.kind === 'nats' ? to.nats : undefined;
    const cables = to.kind === 'shards' ? to.cables : Array.from({ length: config.gateways }, () => []);
    this.#gateways = new Gateways(
      {
        data: { ...gatewaySettings(config), boot, devSecret, nats, phase: phase.memory, log: logOptions },
        log,
        restarts,
        stopping,
        connect: async (gateway, ports) => (to.kind === 'shards' ? await to.connect(gateway, ports) : undefined),
        onLost: (gateway) => (to.kind === 'shards' ? to.onLost(gateway) : undefined),
        onBack: async (thread) => (to.kind === 'shards' ? await to.onBack(thread) : undefined),
      },
      cables,
    );
  }

  async listen(): Promise<void> {
    try {
      this.#port = await this.#gateways!.start(this.#parts.config.port);
    } catch (error) {
      throw listenError(error);
    }
  }

  /** `sample`: a call to try, of an app that is run here. */
  async open(sample: LoadedType | undefined): Promise<void> {
    this.#parts.phase.set('ready');
    await announceReady(this.#parts.config, this.#port, this.#parts.log, sample);
  }

  // The stop.

  /** `/ready` says 503, nobody new comes in, everybody is told. */
  async turnAway(): Promise<void> {
    this.#parts.phase.set('draining');
    await this.#gateways!.ask('stopListening');
    await this.#gateways!.ask('announceShutdown', reconnectMsMax + randomInt(1000));
  }

  /** What was accepted is answered. */
  async settle(): Promise<void> {
    await this.#gateways!.ask('settled');
  }

  async closeSockets(): Promise<void> {
    await this.#gateways!.ask('close', socketsDrainMsMin);
  }

  /** uWebSockets aborts the process when a thread ends with its listener open. */
  async unlisten(): Promise<void> {
    await this.#gateways?.ask('close', 0);
  }

  async terminate(): Promise<void> {
    await this.#gateways?.terminate();
  }
}

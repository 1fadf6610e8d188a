/**
 * The gateway: one thread that owns sockets, and knows shards only as numbers behind a link.
 *
 *   client ⇄ socket.ts, http.ts ── intake.ts ──▶ link ──▶ shard
 *                 ▲                                          │
 *                 └────────── outlet.ts ◀── link ◀───────────┘        pending.ts: who waits
 *                                                                     sessions.ts: who is there, or may come back
 *                                                                     shard-life.ts: what when a shard changes hands
 *
 * This file joins the parts and owns the listener, the second hand, and the way down: stopListening, announceShutdown,
 * settled, close, in that order. Each of them may be called twice.
 */
import { App, us_listen_socket_close, us_socket_local_port, type us_listen_socket } from 'uWebSockets.js';
import type { Clock } from '../host/clock.ts';
import type { Config } from '../host/config.ts';
import type { Logger } from '../host/log.ts';
import { LogGate } from '../host/log-gate.ts';
import type { Sample } from '../host/meters.ts';
import type { Phase } from '../host/phase.ts';
import { closeCodes } from '../protocol/messages.ts';
import type { GatewayLink, RemoteLink } from '../transport/contract.ts';
import { Admission } from './admission.ts';
import { Anchor } from './anchor.ts';
import { createVerifier, type Verify } from './auth.ts';
import { Revocations } from './auth-revocation.ts';
import { CallLog } from './call-log.ts';
import type { SocketData } from './connection.ts';
import { EventStreams } from './event-streams.ts';
import { Unsent } from './exchange.ts';
import { type DevFiles, httpHandler } from './http.ts';
import type { Peers } from './handover.ts';
import { Intake } from './intake.ts';
import type { Line } from './line.ts';
import { listen } from './listen.ts';
import { localPeers } from './local-peers.ts';
import type { RunningCall } from './lost-calls.ts';
import { GatewayMeters } from './meters.ts';
import { Origins } from './origin.ts';
import { Outlet } from './outlet.ts';
import { Pending } from './pending.ts';
import { PoisonCalls } from './poison.ts';
import { Principals } from './principals.ts';
import type { SessionRecord } from './session-records.ts';
import { Sessions } from './sessions.ts';
import { ShardLife } from './shard-life.ts';
import { socketBehavior } from './socket.ts';
import { reviewConnections } from './standing.ts';
import { upgradeHandler } from './upgrade.ts';

export interface GatewayOptions {
  readonly index: number;
  /** How many gateways this process has. */
  readonly gateways: number;
  /** The run of the process, the same for all its gateways and unguessable. */
  readonly boot: string;
  /** How many gateways of this number the process has had before this one; 0 by default. */
  readonly life?: number;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** False when several gateways share the port. */
  readonly exclusivePort: boolean;
  readonly config: Pick<Config, 'dev' | 'allowedOrigins' | 'auth' | 'limits'>;
  /** Verifies development tokens when no secret is configured. */
  readonly devSecret?: string;
  /** To the shards of this process, or to slots that other processes serve. */
  readonly link: GatewayLink | RemoteLink;
  /** The other gateways; those of this process by default. */
  readonly peers?: Peers;
  readonly phase: Phase;
  readonly log: Logger;
  readonly clock: Clock;
  readonly devFiles?: DevFiles;
}

export interface GatewayCounts {
  readonly sockets: number;
  /** Sessions that wait for their client. */
  readonly detached: number;
  readonly calls: number;
  readonly tenants: number;
  readonly httpPrincipals: number;
  readonly topics: number;
}

export interface Gateway {
  readonly port: number;
  /** Takes no new connections; open ones stay. */
  stopListening(): void;
  /** Tells every client to come back after a while of its own, so that they do not all come at once. */
  announceShutdown(reconnectMsMax: number): void;
  /** Settles when no call is pending: every answer was handed to its socket. */
  settled(): Promise<void>;
  /**
   * Waits until every reply has left user space, at most `flushMsMax`; then ends the sockets with 1012 and closes all.
   * The link stays its owner's.
   */
  close(flushMsMax: number): Promise<void>;
  counts(): GatewayCounts;
  /** For `/metrics`. */
  samples(): Sample[];
  /**
   * A shard's thread died: its calls in flight end `unknown` now, new ones are refused until `shardBack`.
   * Returns what the call with this number asked for, if it was in flight: the one that its shard was running.
   */
  shardLost(shard: number, runningCall: number): RunningCall | undefined;
  /** Its successor takes calls: it is told of the sessions here and their subscriptions. */
  shardBack(shard: number): void;
  /** The calls that are not to be run any more. */
  setPoison(fingerprints: readonly string[]): void;
  /** What became of sessions since the last time. After `close` all have ended, and are told once more. */
  takeSessionRecords(): SessionRecord[];
}

/** @throws Error when the keys are unusable or the address cannot be listened on */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { config, devSecret, clock } = options;
  const log = options.log.child({ gateway: options.index });
  const { revokedFile } = config.auth;
  const revocations = revokedFile === undefined ? undefined : await Revocations.open(revokedFile, log);
  const secret = config.dev ? devSecret : undefined;
  const { depthMax } = config.limits;
  const verify = await createVerifier(config.auth, secret, clock, log, revocations, depthMax);
  return openGateway(options, verify, revocations);
}

/** The same at once, with keys that were read before. @throws ListenError */
export function openGateway(options: GatewayOptions, verify: Verify, revocations?: Revocations): Gateway {
  const { config, link, phase, clock, log } = options;
  const { limits, auth, dev } = config;
  const admission = new Admission(verify, dev);
  const origins = new Origins(config.allowedOrigins, dev);
  // A shard may still answer what a predecessor asked: no number is used by two.
  const first = (options.life ?? 0) * numbersPerLife + 1;
  const pending = new Pending(link.shards, first);
  const lines = new LogGate(log, clock.monotonic);
  const callLog = log.isLevelEnabled('debug') ? new CallLog(log, clock.monotonic) : undefined;
  const poison = new PoisonCalls(lines);
  const meters = new GatewayMeters(clock);
  const intake = new Intake({ link, pending, poison, meters, limits, clock, callLog, first });
  const principals = new Principals(admission, intake, clock, limits.httpPrincipalsMax);
  const connections = new Map<number, Line>();
  const unsent = new Unsent();
  const anchor = new Anchor();
  const exchange = {
    unsent,
    anchor,
    meters,
    newId: clock.id,
    get closing() {
      return phase.name === 'draining';
    },
  };
  const app = App();
  const outlet = new Outlet(app, pending, intake, connections, meters);
  const { boot, peers = localPeers(options) } = options;
  const sessions = new Sessions({ peers, boot, connections, intake, outlet, phase, limits, clock });
  const sockets = () => connections.size;
  const eventStreams = new EventStreams({
    admission,
    sessions,
    intake,
    phase,
    limits,
    clock,
    meters,
    sockets,
    callLog,
  });
  const upgrade = upgradeHandler({
    phase,
    origins,
    admission,
    queryToken: auth.queryToken,
    socketsMax: limits.socketsMax,
    sockets,
    exchange,
    lines,
    namesAll: callLog !== undefined,
  });
  app.ws<SocketData>(
    '/ws',
    socketBehavior({ sessions, intake, outlet, upgrade, verify, phase, limits, clock, meters, callLog }),
  );
  app.any(
    '/*',
    httpHandler({
      phase,
      origins,
      admission,
      intake,
      principals,
      eventStreams,
      limits,
      devFiles: options.devFiles,
      exchange,
    }),
  );
  const life = { link, pending, intake, outlet, sessions, eventStreams, limits, clock, log, lines };
  const shardLife = new ShardLife(life);

  let listener: us_listen_socket | undefined = listen(app, options);
  const port = us_socket_local_port(listener);
  try {
    anchor.open();
  } catch (error) {
    us_listen_socket_close(listener);
    throw error;
  }
  const secondHand = setInterval(tick, 1000);
  let closing: Promise<void> | undefined;

  return {
    port,
    stopListening,
    announceShutdown(reconnectMsMax) {
      for (const connection of connections.values()) {
        const reconnectInMs = Math.floor(clock.random() * reconnectMsMax);
        connection.sendMessage({ type: 'server:shutdown', reason: 'deployment', reconnectInMs });
      }
    },
    settled: () => pending.settled(),
    shardLost: (shard, runningCall) => shardLife.shardLost(shard, runningCall),
    shardBack: (shard) => shardLife.shardBack(shard),
    setPoison: (fingerprints) => poison.set(fingerprints),
    takeSessionRecords: () => sessions.takeRecords(),
    samples: () => [
      ...meters.samples({ sockets: connections.size, detached: sessions.detached, calls: pending.size }),
      ...shardLife.samples(),
    ],
    close: (flushMsMax) => (closing ??= close(flushMsMax)),
    counts: () => ({
      sockets: connections.size,
      detached: sessions.detached,
      calls: pending.size,
      tenants: intake.tenants,
      httpPrincipals: principals.size,
      topics: outlet.topics,
    }),
  };

  function stopListening(): void {
    if (listener !== undefined) us_listen_socket_close(listener);
    listener = undefined;
    sessions.stop();
  }

  /** One sweep per second instead of a timer per socket: none can be too long for setTimeout. */
  function tick(): void {
    const nowMs = clock.now();
    void revocations?.look();
    reviewConnections(connections.values(), { nowMs, revocations, limits });
    principals.sweep(nowMs, revocations);
    sessions.sweep();
    outlet.sweep();
    eventStreams.keepAlive();
    shardLife.sweep();
  }

  async function close(flushMsMax: number): Promise<void> {
    stopListening();
    const untilMs = clock.monotonic() + flushMsMax;
    while (isBuffered() && clock.monotonic() < untilMs) await delay(flushPollMs);
    clearInterval(secondHand);
    lines.close();
    const lingers = connections.size > 0;
    for (const connection of connections.values()) connection.end(closeCodes.restart, 'restart');
    // Closing a socket that still has something to read resets it, and a reset can overtake the last bytes.
    if (lingers) await delay(lingerMs);
    app.close();
    anchor.close();
    sessions.close();
    // Shards hear of the last ends before anybody hears of this one.
    intake.flush();
  }

  function isBuffered(): boolean {
    if (unsent.count > 0) return true;
    for (const connection of connections.values()) if (connection.bufferedBytes > 0) return true;
    return false;
  }
}

/** More than a gateway can use, and few enough that thousands of lives stay exact. */
const numbersPerLife = 2 ** 40;
const flushPollMs = 5;
const lingerMs = 50;

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

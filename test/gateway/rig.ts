/**
 * A gateway over scripted shards, with real sockets, and clients for it. Everything opened here is closed by `stopRigs`.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pino from 'pino';
import { WebSocket } from 'ws';
import { type Gateway, type GatewayCounts, type GatewayOptions, startGateway } from '../../src/gateway/gateway.ts';
import { type Clock, systemClock } from '../../src/host/clock.ts';
import type { AuthConfig } from '../../src/host/config.ts';
import type { LogLevel } from '../../src/host/log.ts';
import { Phase } from '../../src/host/phase.ts';
import { defaultLimits, type Limits } from '../../src/protocol/limits.ts';
import { FakeShards } from './fake-shards.ts';
import { secret } from './tokens.ts';

export const auth: AuthConfig = {
  secret,
  jwksUrl: undefined,
  jwksFile: undefined,
  issuer: 'https://issuer.test',
  audience: 'fermata',
  algorithms: [],
  tenantClaim: 'tenant',
  queryToken: false,
  revokedFile: undefined,
};

/** What a gateway counts when nobody is there. */
export const nothing: GatewayCounts = { sockets: 0, detached: 0, calls: 0, tenants: 0, httpPrincipals: 0, topics: 0 };

export interface RigOptions {
  readonly dev?: boolean;
  readonly auth?: Partial<AuthConfig>;
  readonly limits?: Partial<Limits>;
  readonly allowedOrigins?: readonly string[];
  readonly shards?: number;
  /** Scripted shards of the test's own, instead of so many. */
  readonly link?: FakeShards;
  /** `info` by default. */
  readonly logLevel?: LogLevel;
  readonly gateway?: Partial<GatewayOptions>;
}

export interface Rig {
  readonly gateway: Gateway;
  readonly shards: FakeShards;
  readonly phase: Phase;
  /** Log lines so far. */
  readonly lines: string[];
  /** What is added to the real clocks: to the wall clock, and to the monotonic one. */
  readonly clock: Clock & { skewMs: number; monotonicSkewMs: number };
  readonly http: string;
  readonly ws: string;
}

const open: { gateway: Gateway; sockets: WebSocket[] }[] = [];

export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const shards = options.link ?? new FakeShards(options.shards);
  const phase = new Phase();
  phase.set('ready');
  const lines: string[] = [];
  const clock = {
    ...systemClock,
    skewMs: 0,
    monotonicSkewMs: 0,
    now: () => Date.now() + clock.skewMs,
    monotonic: () => performance.now() + clock.monotonicSkewMs,
  };
  const gateway = await startGateway({
    index: 0,
    gateways: 1,
    boot: 'boot-of-tests',
    host: '127.0.0.1',
    port: 0,
    exclusivePort: true,
    config: {
      dev: options.dev ?? false,
      allowedOrigins: options.allowedOrigins ?? [],
      auth: { ...auth, ...options.auth },
      limits: { ...defaultLimits, ...options.limits },
    },
    link: shards,
    phase,
    log: pino({ level: options.logLevel ?? 'info' }, { write: (line: string) => void lines.push(line) }),
    clock,
    ...options.gateway,
  });
  open.push({ gateway, sockets: [] });
  const address = `127.0.0.1:${gateway.port}`;
  return { gateway, shards, phase, lines, clock, http: `http://${address}`, ws: `ws://${address}/ws` };
}

export async function stopRigs(): Promise<void> {
  for (const { gateway, sockets } of open.splice(0)) {
    for (const socket of sockets) socket.terminate();
    await gateway.close(0);
  }
}

export interface Message {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** A WebSocket client that keeps every frame it gets. */
export class Client {
  readonly socket: WebSocket;
  readonly messages: Message[] = [];
  /** Close code, once it is closed; 1006 when there was no close frame. */
  readonly closed: Promise<number>;
  closeCode: number | undefined;
  #nextId = 1;
  #taken = 0;

  constructor(
    rig: Rig,
    options: { token?: string; protocols?: string[]; headers?: Record<string, string>; url?: string },
  ) {
    const headers = {
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
      ...options.headers,
    };
    this.socket = new WebSocket(options.url ?? rig.ws, options.protocols ?? [], { headers });
    open.find(({ gateway }) => gateway === rig.gateway)?.sockets.push(this.socket);
    this.socket.on('message', (data: Buffer) => this.messages.push(JSON.parse(data.toString()) as Message));
    this.socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code) => {
        this.closeCode = code;
        resolve(code);
      });
    });
  }

  send(frame: unknown): void {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame));
  }

  /** Waits for the next message that fits, in the order of arrival. */
  async next(type?: string): Promise<Message> {
    await until(() => this.messages.slice(this.#taken).some((message) => type === undefined || message.type === type));
    while (true) {
      const message = this.messages[this.#taken++]!;
      if (type === undefined || message.type === type) return message;
    }
  }

  async rpc(method: string, input?: unknown, more: Record<string, unknown> = {}): Promise<Message> {
    const id = `rpc_${this.#nextId++}`;
    this.send({ type: 'rpc', id, actor: 'counter', actorId: 'c1', method, input, ...more });
    await until(() => this.messages.some((message) => message['id'] === id));
    return this.messages.find((message) => message['id'] === id)!;
  }
}

/** An open client that has its welcome. */
export async function connect(rig: Rig, options: ConstructorParameters<typeof Client>[1] = {}): Promise<Client> {
  const client = new Client(rig, options);
  const failed = client.closed.then((code) => {
    throw new Error(`closed with ${code} before the welcome`);
  });
  await Promise.race([client.next('welcome'), failed]);
  failed.catch(() => {});
  return client;
}

/** A client of the additions that has said hello with the token of an earlier one, and the welcome that it got for it. */
export async function comeBack(
  rig: Rig,
  resumeToken: unknown,
  given: string,
): Promise<{ client: Client; welcome: Message; first: Message }> {
  const client = await connect(rig, { token: given, protocols: ['fermata.v1'] });
  client.send({ type: 'hello', resumeToken });
  return { client, first: client.messages[0]!, welcome: await client.next('welcome') };
}

/** A client that one shard knows, and what its welcome said. */
export async function known(rig: Rig, given: string) {
  const client = await connect(rig, { token: given, protocols: ['fermata.v1'] });
  await client.rpc('echo');
  const { clientId, sessionId, resumeToken } = client.messages[0]!;
  return { client, clientId, sessionId, resumeToken };
}

/** Such a client after its line was cut. */
export async function lost(rig: Rig, given: string) {
  const before = await known(rig, given);
  const { detached } = rig.gateway.counts();
  before.client.socket.terminate();
  await until(() => rig.gateway.counts().detached === detached + 1);
  return before;
}

/** Status of an upgrade that is refused, and its body; 101 when it is not. */
export function upgrade(
  rig: Rig,
  options: ConstructorParameters<typeof Client>[1] = {},
): Promise<{ status: number; body: string; headers: Record<string, unknown> }> {
  const client = new Client(rig, options);
  return new Promise((resolve, reject) => {
    client.socket.on('upgrade', (response) => {
      client.socket.terminate();
      resolve({ status: 101, body: '', headers: response.headers });
    });
    client.socket.on('unexpected-response', (_request, response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }));
      response.on('error', reject);
    });
    client.socket.on('error', reject);
  });
}

/** Both doors must give the same answer. */
export async function doors(rig: Rig, given: string): Promise<[upgrade: number, http: number]> {
  const viaSocket = await upgrade(rig, { token: given });
  const viaHttp = await fetch(`${rig.http}/v1/actors/counter/c1/echo`, {
    method: 'POST',
    headers: { authorization: `Bearer ${given}` },
  });
  await viaHttp.arrayBuffer();
  return [viaSocket.status, viaHttp.status];
}

export async function until(holds: () => boolean, msMax = 10_000): Promise<void> {
  const end = performance.now() + msMax;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`waited ${msMax} ms for: ${holds.toString()}`);
    await delay(2);
  }
}

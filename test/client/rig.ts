/** A client of the scripted server, on manual time. */
import { type Client, type ClientOptions, createClient } from '../../src/client/client.ts';
import { expect } from 'vitest';
import { FermataError } from '../../src/client/error.ts';
import type { app } from './app.ts';
import { ManualClock } from './manual-clock.ts';
import { type Peer, ScriptedServer } from './scripted-server.ts';

export interface Rig {
  readonly client: Client<typeof app>;
  readonly clock: ManualClock;
  readonly server: ScriptedServer;
  /** What reached `onError`. */
  readonly reports: unknown[];
  /** Settles once the client's status is this. */
  status(wanted: string): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Nothing has connected yet: `clock.advance(0)` starts the first attempt. */
export async function rig(options: Partial<ClientOptions> = {}): Promise<Rig> {
  const server = await ScriptedServer.start();
  const clock = new ManualClock();
  const reports: unknown[] = [];
  const client = createClient<typeof app>({
    url: server.url,
    clock,
    onError: (error) => reports.push(error),
    ...options,
  });
  return {
    client,
    clock,
    server,
    reports,
    status: (wanted) =>
      new Promise((resolve) => {
        if (client.connection.status === wanted) resolve();
        const stop = client.connection.subscribe((status) => {
          if (status !== wanted) return;
          stop();
          resolve();
        });
      }),
    async [Symbol.asyncDispose]() {
      client.connection.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** The same, connected. */
export async function connected(options: Partial<ClientOptions> = {}): Promise<Rig & { readonly peer: Peer }> {
  const made = await rig(options);
  made.clock.advance(0);
  const peer = await made.server.welcome();
  await made.client.connection.ready;
  return { ...made, peer };
}

/** The same, with a server that speaks the additions. */
export async function inSession(
  options: Partial<ClientOptions> = {},
  additions: object = {},
): Promise<Rig & { readonly peer: Peer }> {
  const made = await rig(options);
  made.clock.advance(0);
  const peer = await made.server.session(additions);
  await made.client.connection.ready;
  return { ...made, peer };
}

/** Cuts the connection, lets the client come back, and gives its session back or not. */
export async function comeBack(test: Rig, peer: Peer, resumed = true): Promise<Peer> {
  peer.cut();
  await test.status('reconnecting');
  test.clock.advance(test.clock.pendingMs[0] ?? 0);
  const next = await test.server.resumed(resumed);
  await test.status('connected');
  return next;
}

/** What a promise is rejected with; fails when it is not rejected, or with anything but a FermataError. */
export async function refusal(promise: Promise<unknown>): Promise<FermataError> {
  const error: unknown = await promise.then(
    (value) => new Error(`resolved with ${JSON.stringify(value)} instead of being rejected`),
    (reason: unknown) => reason,
  );
  if (error instanceof FermataError) return error;
  throw error;
}

/** Loses the connection and tells after how many milliseconds the client will try again. */
export async function delayAfterLoss(test: Rig, peer: Peer, code = 1011): Promise<number> {
  peer.close(code);
  await test.status('reconnecting');
  return test.clock.pendingMs[0] ?? Number.NaN;
}

/** Once this settles, everything that the server sent before has arrived, and the client had nothing to say to it. */
export async function roundTrip(test: Rig, peer: Peer): Promise<void> {
  for (const _ of ['what was sent arrives', 'and so does the answer']) {
    const answer = test.client.counter('round-trip').increment();
    const call = await peer.frame();
    expect(call).toMatchObject({ type: 'rpc', actorId: 'round-trip' });
    peer.answer(call, 1);
    await answer;
  }
}

/** An attempt failed: the error is a new one. */
export async function refusedOnce(test: Rig): Promise<void> {
  const before = test.client.connection.error;
  await expect.poll(() => test.client.connection.error !== before, { interval: 2, timeout: 10_000 }).toBe(true);
}

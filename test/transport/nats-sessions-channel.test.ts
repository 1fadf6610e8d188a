import { connect, Events, type NatsConnection } from 'nats';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { natsSessionsChannel } from '../../src/transport/nats-sessions-channel.ts';
import type { SessionsChannel } from '../../src/transport/sessions-channel.ts';
import { NatsServer } from '../support/nats-server.ts';
import { eventually } from '../support/wait.ts';

let server: NatsServer;
const connections: NatsConnection[] = [];

beforeAll(async () => {
  server = await NatsServer.start();
});

afterEach(async () => {
  for (const nc of connections.splice(0)) await nc.close();
});

afterAll(async () => {
  await server.close();
});

async function dial(): Promise<NatsConnection> {
  const nc = await connect({ servers: server.url, reconnectTimeWait: 50, maxReconnectAttempts: -1 });
  connections.push(nc);
  return nc;
}

/** A channel, and what it has heard. */
async function open(): Promise<{ nc: NatsConnection; channel: SessionsChannel; heard: unknown[] }> {
  const nc = await dial();
  const channel = natsSessionsChannel(nc);
  const heard: unknown[] = [];
  channel.onMessage((message) => heard.push(message));
  await nc.flush();
  return { nc, channel, heard };
}

describe('the channel of sessions over NATS', () => {
  it('carries what one says to all others, in order', async () => {
    const [a, b, c] = [await open(), await open(), await open()];
    a.channel.post({ n: 1, text: 'ä\u{1f600}' });
    a.channel.post({ n: 2, nothing: undefined });
    for (const { heard } of [b, c]) {
      await eventually('what was said', () => heard.length === 2);
      expect(heard).toEqual([{ n: 1, text: 'ä\u{1f600}' }, { n: 2 }]);
    }
  });

  it('drops what is no JSON, too large, too deep or names __proto__, in both directions', async () => {
    const [a, b, stranger] = [await open(), await open(), await dial()];
    const big = 'x'.repeat(64 * 1024);
    for (const text of [
      '',
      'nonsense',
      JSON.stringify({ big }),
      `${'['.repeat(2100)}${']'.repeat(2100)}`,
      '{"__proto__":1}',
    ])
      stranger.publish('fermata.sessions', text);
    await stranger.flush();
    expect(a.channel.post({ big })).toBe(false);
    expect(a.channel.post({ last: true })).toBe(true);
    await eventually('what was said', () => b.heard.length > 0);
    expect(b.heard).toEqual([{ last: true }]);
  });

  it('says nothing after it was closed or its connection was, and hears nothing', async () => {
    const [a, b, c] = [await open(), await open(), await open()];
    b.channel.close();
    b.channel.close();
    await b.nc.flush();
    await c.nc.close();
    expect(c.channel.post({ from: 'c' })).toBe(false);
    c.channel.close();
    a.channel.post({ from: 'a' });
    await eventually('what was said', () => a.heard.length === 1);
    await b.nc.flush();
    expect([b.heard, c.heard]).toEqual([[], []]);
  });

  it('does not keep for later what is said while NATS is away, and goes on when it is back', async () => {
    const [a, b] = [await open(), await open()];
    const gone = [a, b].map(async ({ nc }) => await statusOf(nc, Events.Disconnect));
    const back = [a, b].map(async ({ nc }) => await statusOf(nc, Events.Reconnect));
    await server.down();
    await Promise.all(gone);
    expect(a.channel.post({ n: 'while away' })).toBe(false);
    await server.up();
    await Promise.all(back);
    await b.nc.flush();
    a.channel.post({ n: 'back' });
    await eventually('what was said', () => b.heard.length > 0);
    expect(b.heard).toEqual([{ n: 'back' }]);
  });
});

async function statusOf(nc: NatsConnection, wanted: Events): Promise<void> {
  for await (const { type } of nc.status()) if (type === wanted) return;
}

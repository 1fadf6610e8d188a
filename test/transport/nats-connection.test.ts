import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NatsConnection, nkeys } from 'nats';
import pino from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { plainNats } from '../../src/host/config-nats.ts';
import type { NatsConfig } from '../../src/host/config.ts';
import { connectNats, withoutCredentials } from '../../src/transport/nats-connection.ts';
import { natsHealth } from '../../src/transport/nats-health.ts';
import { NatsServer } from '../support/nats-server.ts';
import { freePort } from '../support/stage.ts';
import { until } from './contract.ts';

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

const nothing = plainNats();

async function serverWith(config: string): Promise<NatsServer> {
  const server = await NatsServer.start({ config });
  open.push(server);
  return server;
}

async function connectWith(config: Partial<NatsConfig>, lines: string[] = []): Promise<NatsConnection> {
  const log = pino({}, { write: (line: string) => lines.push(line) });
  const nc = await connectNats({ ...nothing, ...config }, { name: 'test', log });
  open.push(nc);
  return nc;
}

describe('the connection to NATS', () => {
  it('is made with a user and a password, and refused with a wrong one', async () => {
    const server = await serverWith('authorization { user: fermata, password: "right one" }');
    const servers = [server.url];
    expect(await natsHealth(await connectWith({ servers, user: 'fermata', password: 'right one' }))).toEqual({
      ok: true,
    });
    const wrong = connectWith({ servers, user: 'fermata', password: 'wrong one' });
    await expect(wrong).rejects.toThrow(
      `no connection to NATS at ${server.url}: the server refused the user and password. Set the user and password`,
    );
    await expect(wrong).rejects.not.toThrow('wrong one');
    await expect(connectWith({ servers })).rejects.toThrow('refused a connection without credentials');
  });

  it('is made with a token, and refused with a wrong one', async () => {
    const server = await serverWith('authorization { token: "s3cret" }');
    const servers = [server.url];
    expect(await natsHealth(await connectWith({ servers, token: 's3cret' }))).toEqual({ ok: true });
    await expect(connectWith({ servers, token: 'other' })).rejects.toThrow('the server refused the token');
  });

  it('takes credentials from an address, and shows them nowhere', async () => {
    const server = await serverWith('authorization { user: fermata, password: "p@ss" }');
    const lines: string[] = [];
    const address = `nats://fermata:p%40ss@127.0.0.1:${server.port}`;
    const nc = await connectWith({ servers: [address] }, lines);
    await server.down();
    await until(() => lines.length >= 1);
    await server.up();
    await until(() => lines.length >= 2);
    expect(lines.join('')).toContain('connected to NATS again');
    expect(lines.join('')).not.toMatch(/p@ss|p%40ss|fermata:/);
    expect(nc.isClosed()).toBe(false);
    const refused = connectWith({ servers: [`nats://fermata:wrong@127.0.0.1:${server.port}`] });
    await expect(refused).rejects.toThrow(`${server.url}: the server refused the credentials in the address`);
    await expect(refused).rejects.not.toThrow('wrong');
  });

  it('says what was tried when nobody is there, or a file is not', async () => {
    const servers = [`nats://127.0.0.1:${await freePort()}`];
    await expect(connectWith({ servers })).rejects.toThrow(
      `no connection to NATS at ${servers[0]}: nobody answers there. Start nats-server with -js there`,
    );
    await expect(connectWith({ servers, credsFile: '/no/such/file' })).rejects.toThrow('/no/such/file');
  });

  it('is made with the seed of an nkey', async () => {
    const user = nkeys.createUser();
    const server = await serverWith(`authorization { users: [ { nkey: ${user.getPublicKey()} } ] }`);
    const folder = mkdtempSync(join(tmpdir(), 'fermata-nkey-'));
    open.push({ close: () => rmSync(folder, { recursive: true }) });
    const nkeyFile = join(folder, 'seed');
    writeFileSync(nkeyFile, `${Buffer.from(user.getSeed()).toString()}\n`);
    expect(await natsHealth(await connectWith({ servers: [server.url], nkeyFile }))).toEqual({ ok: true });
  });

  it('tells what the server forbids', async () => {
    const server = await serverWith(
      'authorization { users: [ { user: u, password: p, permissions: { publish: "allowed.>", subscribe: ">" } } ] }',
    );
    const lines: string[] = [];
    const nc = await connectWith({ servers: [server.url], user: 'u', password: 'p' }, lines);
    nc.publish('forbidden.subject', '');
    await until(() => lines.length === 1);
    expect(lines[0]).toContain('forbidden.subject');
  });

  it.each([
    ['nats://user:password@host:4222', 'nats://host:4222'],
    ['token@host', 'host'],
    ['nats://tok/en@host:4222', 'nats://host:4222'],
    ['tls://host:4222', 'tls://host:4222'],
  ])('shows %s as %s', (address, shown) => {
    expect(withoutCredentials(address)).toBe(shown);
  });
});

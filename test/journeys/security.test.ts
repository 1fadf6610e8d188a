/** Security of the shipped command as a whole; its parts are in test/gateway. docs/security.md names what holds what. */
import { readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { getState, type HttpAnswer, post, send } from '../support/http.ts';
import { freePort, Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';

function stageOfTest(): Stage {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  return stage;
}

describe('the admin port', () => {
  test('is on loopback alone, whatever address clients reach, and they reach none of its routes', async () => {
    const stage = stageOfTest();
    const admin = await freePort();
    const server = await stage.serve({ app: 'ledger', args: ['--host', '0.0.0.0', '--admin-port', admin] });
    const { port } = new URL(server.address);
    const token = await mint();
    // 127.0.0.2 is this machine too, by another address than the one that the admin port has.
    expect((await fetch(`http://127.0.0.2:${port}/health`)).status).toBe(200);
    expect((await fetch(`http://127.0.0.1:${admin}/health`)).status).toBe(200);
    await expect(fetch(`http://127.0.0.2:${admin}/health`)).rejects.toThrow('fetch failed');
    for (const path of ['/metrics', '/admin', '/admin/sessions', '/console', '/v1/admin', '/debug', '/status']) {
      for (const ask of [{}, { token }])
        expect([path, (await send(`http://127.0.0.1:${port}`, 'GET', path, ask)).status]).toEqual([path, 404]);
    }
    // Nor does the admin port do anything for clients.
    const call = await post(`http://127.0.0.1:${admin}`, ['ledger', 'l1', 'append'], { token, input: 1 });
    expect(call.status).toBe(404);
  });
});

describe('a revoked token', () => {
  test('stops the start with one line when the list is bad', async () => {
    const stage = stageOfTest();
    const path = join(stage.dataDir(), 'revoked.json');
    writeFileSync(path, '{"subs":["acme/ada"]}');
    const server = stage.launch({ app: 'ledger', args: ['--auth-revoked-file', path] });
    expect((await server.exited).code).toBe(78);
    expect(server.output.split('\n').filter((line) => line.includes('--auth-revoked-file'))).toEqual([
      expect.stringContaining('has other fields than "jti" and "sub"'),
    ]);
  });

  test('loses its live socket within five seconds, in every gateway, and comes in no more', async () => {
    const stage = stageOfTest();
    const path = join(stage.dataDir(), 'revoked.json');
    writeFileSync(path, '{}');
    const server = await stage.serve({
      app: 'ledger',
      args: ['--gateways', '2'],
      env: { AUTH_REVOKED_FILE: path },
    });
    const who = { tenant: 'acme', sub: 'eve', claims: { jti: 't1' } };
    // Enough of them that both gateways have some.
    const clients = await Promise.all(Array.from({ length: 12 }, () => stage.connect(server, who)));
    const other = await stage.connect(server, { tenant: 'acme', sub: 'ada' });
    writeFileSync(`${path}.new`, '{"sub":["acme/eve"]}');
    renameSync(`${path}.new`, path);
    let closed = 0;
    for (const client of clients) {
      void client.closed.then(({ code }) => {
        closed += code === 4401 ? 1 : 0;
      });
    }
    await expect.poll(() => closed, { timeout: 5000 }).toBe(clients.length);
    await expect(stage.connect(server, who)).rejects.toThrow('401');
    expect((await getState(server.address, 'ledger', 'l1', { token: await mint(who) })).status).toBe(401);
    expect(other.socket.readyState).toBe(other.socket.OPEN);
  });
});

describe('a tenant that nobody has used', () => {
  /** What a caller sees, but for what differs each time. */
  const seen = ({ status, text, headers }: HttpAnswer) => {
    const { date: _date, 'x-request-id': _id, ...rest } = headers;
    return { status, text, headers: rest };
  };

  test('answers its first visitor as one that is full of data does, and a look leaves no file', async () => {
    const stage = stageOfTest();
    const server = await stage.serve({ app: 'probe' });
    const full = await mint({ tenant: 'full' });
    const fresh = await mint({ tenant: 'fresh' });
    await post(server.address, ['probe', 'p1', 'set'], { token: full, input: 1 });
    const look = (token: string) => getState(server.address, 'probe', 'untouched', { token });
    expect(seen(await look(fresh))).toEqual(seen(await look(full)));
    expect((await server.term()).code).toBe(0);
    expect(readdirSync(join(server.dataDir, 'tenants'))).toEqual(['full']);
  });
});

describe('the data directory', () => {
  test('and all that is in it is readable for its owner alone', async () => {
    const stage = stageOfTest();
    const parent = stage.dataDir();
    const server = await stage.serve({ app: 'ledger', dataDir: join(parent, 'made-by-it') });
    await post(server.address, ['ledger', 'l1', 'append'], { token: await mint(), input: 'a' });
    const seen = readdirSync(server.dataDir, { recursive: true, encoding: 'utf8' });
    expect(seen.length).toBeGreaterThan(3);
    const open = ['.', ...seen].filter((name) => (statSync(join(server.dataDir, name)).mode & 0o077) !== 0);
    expect(open).toEqual([]);
  });
});

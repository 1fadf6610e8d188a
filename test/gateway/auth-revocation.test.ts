import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { revokedBytesMax } from '../../src/host/config-revoked.ts';
import { connect, doors, type Rig, startRig, stopRigs, until } from './rig.ts';
import { claims, token } from './tokens.ts';

const closers: (() => void)[] = [];

afterEach(async () => {
  await stopRigs();
  for (const close of closers.splice(0)) close();
});

/** A list that `write` replaces as an operator should: a new file, renamed. */
function listFile(first: unknown) {
  const folder = mkdtempSync(join(tmpdir(), 'revoked-'));
  closers.push(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'revoked.json');
  const write = (content: unknown): void => {
    writeFileSync(`${path}.new`, typeof content === 'string' ? content : JSON.stringify(content));
    renameSync(`${path}.new`, path);
  };
  write(first);
  return { path, write };
}

async function rigWith(first: unknown): Promise<{ rig: Rig; list: ReturnType<typeof listFile> }> {
  const list = listFile(first);
  return { rig: await startRig({ auth: { revokedFile: list.path } }), list };
}

const by = (jti: string, more: Record<string, unknown> = {}) => token(claims({ jti, ...more }));
const warnings = (rig: Rig) => rig.lines.filter((line) => line.includes('the list of revoked tokens cannot be used'));

describe('a list that cannot be used stops the start with one line', () => {
  it.each([
    ['no JSON', '{"jti":[', /is no JSON; it must be of the form/],
    ['nothing', '', /is no JSON;/],
    ['an array', '[]', /is no JSON object/],
    ['null', 'null', /is no JSON object/],
    ['a misspelt field', '{"jtis":["a"]}', /has other fields than "jti" and "sub"/],
    ['a list that is none', '{"jti":"a"}', /"jti" is no token id/],
    ['an empty id', '{"jti":["a",""]}', /"jti"\[1\] is no token id/],
    ['a number', '{"jti":[7]}', /"jti"\[0\] is no token id/],
    ['a subject without a tenant', '{"sub":["user-1"]}', /"sub"\[0\] is no tenant\/subject/],
    ['a tenant without a subject', '{"sub":["acme/"]}', /"sub"\[0\]/],
    ['no legal tenant', '{"sub":["Acme/x"]}', /"sub"\[0\]/],
    ['too much', ' '.repeat(revokedBytesMax + 1), /has more than 4194304 bytes/],
  ])('%s', async (_what, content, message) => {
    const { path } = listFile(content);
    const start = startRig({ auth: { revokedFile: path } });
    await expect(start).rejects.toThrow(message);
    await expect(start).rejects.toThrow(/^AUTH_REVOKED_FILE: [^\n]+$/);
  });

  it('a missing file', async () => {
    await expect(startRig({ auth: { revokedFile: '/nowhere/revoked.json' } })).rejects.toThrow(/ENOENT/);
  });
});

describe('what is on the list', () => {
  it('is refused at every door like any bad token, and the log does not say which', async () => {
    const { rig } = await rigWith({ jti: ['stolen'], sub: ['acme/user-2', 'acme/a/b'] });
    expect(await doors(rig, by('stolen'))).toEqual([401, 401]);
    expect(await doors(rig, by('other', { sub: 'user-2' }))).toEqual([401, 401]);
    expect(await doors(rig, by('other', { sub: 'a/b' }))).toEqual([401, 401]);
    expect(await doors(rig, by('other', { sub: 'user-2', tenant: 'bolt' }))).toEqual([101, 200]);
    expect(await doors(rig, token())).toEqual([101, 200]);
    const client = await connect(rig, { token: by('fine'), protocols: ['fermata.v1'] });
    client.send({ type: 'auth', token: by('stolen') });
    expect(await client.next('error')).toMatchObject({ re: { type: 'auth' }, code: 'UNAUTHORIZED' });
    expect(rig.lines.join('')).toContain('the token or its subject is revoked');
    expect(rig.lines.join('')).not.toMatch(/stolen|user-2/);
  });

  it('closes live sockets with 4401 within five seconds, and ends cached callers over HTTP', async () => {
    const { rig, list } = await rigWith({});
    const call = async (given: string) => {
      const answer = await fetch(`${rig.http}/v1/actors/counter/c1/echo`, {
        method: 'POST',
        headers: { authorization: `Bearer ${given}` },
      });
      return answer.status;
    };
    const given = [by('t1'), by('t2', { sub: 'user-2' }), by('t3', { sub: 'user-2', tenant: 'bolt' }), by('t4')];
    const clients = [];
    for (const one of given) clients.push(await connect(rig, { token: one, protocols: ['fermata.v1'] }));
    for (const one of given) expect(await call(one)).toBe(200);
    expect(rig.gateway.counts().httpPrincipals).toBe(4);
    list.write({ jti: ['t1'], sub: ['acme/user-2'] });
    await until(() => rig.gateway.counts().sockets === 2 && rig.gateway.counts().httpPrincipals === 2, 5000);
    expect(await Promise.all(clients.slice(0, 2).map((client) => client.closed))).toEqual([4401, 4401]);
    expect([await call(given[0]!), await call(given[1]!)]).toEqual([401, 401]);
    for (const client of clients.slice(2)) expect((await client.rpc('echo', 1))['result']).toBe(1);
    list.write({});
    await expect.poll(() => call(given[0]!), { timeout: 5000, interval: 200 }).toBe(200);
  });

  it('is asked of the token that a connection stands on now', async () => {
    const { rig, list } = await rigWith({});
    const client = await connect(rig, { token: by('first'), protocols: ['fermata.v1'] });
    client.send({ type: 'auth', token: by('second') });
    await client.next('auth:ok');
    const other = await connect(rig, { token: by('first') });
    list.write({ jti: ['first'] });
    expect(await other.closed).toBe(4401);
    expect((await client.rpc('echo', 1))['result']).toBe(1);
    list.write({ jti: ['first', 'second'] });
    expect(await client.closed).toBe(4401);
  });
});

describe('a list that turns bad while the server runs', () => {
  it('leaves the last good one in force, is told once, and counts again when it is good', async () => {
    const { rig, list } = await rigWith({ jti: ['a'] });
    list.write('{"jti":');
    await until(() => warnings(rig).length === 1);
    list.write('{"jti":');
    rmSync(list.path);
    await until(() => warnings(rig).some((line) => line.includes('ENOENT')));
    expect(await doors(rig, by('a'))).toEqual([401, 401]);
    const seen = warnings(rig).length;
    const live = await connect(rig, { token: by('b') });
    list.write({ jti: ['b'] });
    expect(await live.closed).toBe(4401);
    expect(await doors(rig, by('a'))).toEqual([101, 200]);
    expect(rig.lines.join('')).toContain('the list of revoked tokens is good again');
    expect(warnings(rig)).toHaveLength(seen);
    expect(seen).toBeLessThanOrEqual(2);
  });
});

import { createHmac } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { connect, doors, nothing, startRig, stopRigs, until, upgrade } from './rig.ts';
import { claims, encode, rsa, secret, signed, token, without } from './tokens.ts';

afterEach(stopRigs);

const nowS = Math.floor(Date.now() / 1000);
const [head, body, signature] = token().split('.') as [string, string, string];

/** Well signed, but the bytes of the payload are not what they are read as. */
function inUtf16(): string {
  const text = `${head}.${Buffer.from(JSON.stringify(claims()), 'utf16le').toString('base64url')}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

const attacks: [what: string, given: string][] = [
  ...['none', 'None', 'nOnE', 'NONE'].map((alg): [string, string] => [
    `alg ${alg}, no signature`,
    `${encode({ alg, typ: 'JWT' })}.${encode(claims())}.`,
  ]),
  ['alg none with a signature', token(claims(), { alg: 'none' })],
  ['empty signature', `${head}.${body}.`],
  ['truncated signature', `${head}.${body}.${signature.slice(0, -4)}`],
  ['no signature part', `${head}.${body}`],
  ['extra segments', `${head}.${body}.${signature}.x`],
  ['five segments', `${head}.${body}.${signature}.x.y`],
  ['changed payload', `${head}.${encode(claims({ tenant: 'other' }))}.${signature}`],
  ['other algorithm in the header', token(claims(), { alg: 'HS512' })],
  ['RS256 where HS256 is expected', signed('RS256', rsa.privateKey)],
  ['other secret', token(claims(), {}, 'another secret of more than thirty-two')],
  ['missing exp', token(without('exp'))],
  ['expired', token(claims({ exp: nowS - 60, iat: nowS - 600 }))],
  ['exp as text', token(claims({ exp: String(nowS + 600) }))],
  ['negative exp', token(claims({ exp: -1 }))],
  ['exp 1e20', token({ ...without('iat'), exp: 1e20 })],
  ['exp null', token(claims({ exp: null }))],
  ['nbf in the future', token(claims({ nbf: nowS + 600 }))],
  ['a life of more than a day', token(claims({ exp: nowS + 90_000 }))],
  ['a life of more than a day, without iat', token({ ...without('iat'), exp: nowS + 90_000 })],
  ['iat in the future', token(claims({ iat: nowS + 500 }))],
  ['iat as text', token(claims({ iat: 'now' }))],
  ['missing iss', token(without('iss'))],
  ['wrong iss', token(claims({ iss: 'https://issuer.test.evil' }))],
  ['missing aud', token(without('aud'))],
  ['wrong aud', token(claims({ aud: 'other' }))],
  ['aud array without ours', token(claims({ aud: ['a', 'b'] }))],
  ['missing sub', token(without('sub'))],
  ['empty sub', token(claims({ sub: '' }))],
  ['sub as number', token(claims({ sub: 5 }))],
  ['sub that was no UTF-8', token(claims({ sub: 'user-\ufffd' }))],
  ['jti as number', token(claims({ jti: 5 }))],
  ['payload in UTF-16', inUtf16()],
  ['missing tenant', token(without('tenant'))],
  ...['', '../x', 'Acme', 'a/b', 'a.b', '-a', 'é', 'a'.repeat(64)].map((tenant): [string, string] => [
    `tenant ${JSON.stringify(tenant)}`,
    token(claims({ tenant })),
  ]),
  ['tenant as array', token(claims({ tenant: ['acme'] }))],
  ['crit', token(claims(), { crit: ['exp'] })],
  ['crit b64', token(claims(), { crit: ['b64'], b64: true })],
  ['unencoded payload', token(claims(), { crit: ['b64'], b64: false })],
  ['typ of another kind', token(claims(), { typ: 'dpop+jwt' })],
  ['typ as number', token(claims(), { typ: 7 })],
  ['payload that is no object', token([] as unknown as Record<string, unknown>)],
  ['header that is no JSON', `${encode('{')}.${body}.${signature}`],
  ['only dots', '..'],
  ['one word', 'x'],
];

describe('a forged or unfit token', () => {
  it.each(attacks)('is refused at both doors: %s', async (_what, given) => {
    const rig = await startRig();
    expect(await doors(rig, given)).toEqual([401, 401]);
    expect(rig.shards.seen).toHaveLength(0);
    expect(rig.gateway.counts()).toEqual(nothing);
  });

  it('is refused in a long header: 3 KB passes, 5 KB does not', async () => {
    const rig = await startRig();
    expect(await doors(rig, token(claims({ pad: 'x'.repeat(2200) })))).toEqual([101, 200]);
    // uWebSockets itself refuses headers over 4 KiB before any of our code runs.
    for (const status of await doors(rig, token(claims({ pad: 'x'.repeat(3700) }))))
      expect([401, 431]).toContain(status);
  });

  it('is refused when its claims could not go where other JSON of clients goes, and the log says so', async () => {
    const rig = await startRig({ limits: { depthMax: 20 } });
    const deep = (levels: number) => ({ deep: JSON.parse('['.repeat(levels) + ']'.repeat(levels)) as unknown });
    const proto = JSON.parse(`{"__proto__":{"admin":true},"more":1}`) as Record<string, unknown>;
    expect(await doors(rig, token(claims(deep(19))))).toEqual([101, 200]);
    expect(await doors(rig, token(claims(deep(20))))).toEqual([401, 401]);
    expect(await doors(rig, token(claims({ inner: proto })))).toEqual([401, 401]);
    const client = await connect(rig, { token: token(), protocols: ['fermata.v1'] });
    client.send({ type: 'auth', token: token(claims(deep(20))) });
    expect(await client.next('error')).toMatchObject({ re: { type: 'auth' }, code: 'UNAUTHORIZED' });
    const log = rig.lines.join('');
    expect(log).toContain('the claims cannot be used: JSON must nest at most 20 levels');
    expect(log).toContain('the claims cannot be used: JSON must not hold a key');
  });

  it('gets one body for every reason, and the log gets the reason without the token', async () => {
    const rig = await startRig();
    const bodies = new Set<string>();
    for (const [, given] of attacks.slice(0, 8)) bodies.add((await upgrade(rig, { token: given })).body);
    expect([...bodies]).toEqual([
      '{"error":{"code":"UNAUTHORIZED","message":"Unauthorized","outcome":"rejected","retryable":false}}',
    ]);
    const log = rig.lines.join('');
    expect(log).toContain('refused a token');
    expect(log).not.toContain(body);
    expect(log).not.toContain(signature);
  });

  it('does not fill the log in a flood', async () => {
    const rig = await startRig();
    await Promise.all(Array.from({ length: 100 }, () => doors(rig, 'x.y.z')));
    expect(rig.lines.length).toBeGreaterThan(0);
    expect(rig.lines.length).toBeLessThan(60);
  });
});

describe('a good token', () => {
  it.each([
    ['plain', token()],
    ['aud array with ours', token(claims({ aud: ['x', 'fermata'] }))],
    ['typ at+jwt', token(claims(), { typ: 'at+jwt' })],
    ['without typ', token(claims(), { typ: undefined })],
    ['without iat', token(without('iat'))],
    ['expired 20 s ago, within the tolerance', token(claims({ exp: nowS - 20, iat: nowS - 600 }))],
    [
      'with jku, x5u and jwk, which nobody follows',
      token(claims(), { jku: 'http://127.0.0.1:1/', x5u: 'http://127.0.0.1:1/' }),
    ],
    ['with a kid that nobody needs', token(claims(), { kid: '../../etc/passwd' })],
  ])('is accepted at both doors: %s', async (_what, given) => {
    expect(await doors(await startRig(), given)).toEqual([101, 200]);
  });

  it('may come as a subprotocol, which is never echoed', async () => {
    const rig = await startRig();
    const protocols = ['fermata.v1', `bearer.${token()}`];
    const answer = await upgrade(rig, { protocols });
    expect([answer.status, answer.headers['sec-websocket-protocol']]).toEqual([101, 'fermata.v1']);
    expect((await upgrade(rig, { protocols: ['fermata.v1', 'bearer.x.y.z'] })).status).toBe(401);
  });

  it('in the address counts only when that is switched on, and is in no log line', async () => {
    const off = await startRig();
    const on = await startRig({ auth: { queryToken: true } });
    const given = token();
    expect((await upgrade(off, { url: `${off.ws}?token=${given}` })).status).toBe(401);
    expect((await upgrade(on, { url: `${on.ws}?token=${given}` })).status).toBe(101);
    expect((await upgrade(on, { url: `${on.ws}?token=${given}x` })).status).toBe(401);
    expect((await fetch(`${on.http}/v1/actors/counter/c1/state?token=${given}`)).status).toBe(401);
    for (const line of [...off.lines, ...on.lines]) expect(line).not.toContain(given.slice(0, 40));
  });

  it('closes its socket with 4401 when it expires', async () => {
    const rig = await startRig();
    const client = await connect(rig, { token: token() });
    const other = await connect(rig, { token: token(claims({ exp: nowS + 80_000 })) });
    rig.clock.skewMs = 601_000;
    expect(await client.closed).toBe(4401);
    expect((await other.rpc('echo', 1))['result']).toBe(1);
  });

  it('may be renewed in the connection, by the same tenant and subject only', async () => {
    const rig = await startRig();
    const renewed = await connect(rig, { token: token(), protocols: ['fermata.v1'] });
    renewed.send({ type: 'auth', token: 'x.y.z' });
    expect(await renewed.next('error')).toMatchObject({ re: { type: 'auth' }, code: 'UNAUTHORIZED' });
    renewed.send({ type: 'auth', token: token(claims({ exp: nowS + 80_000 })) });
    expect(await renewed.next('auth:ok')).toEqual({ type: 'auth:ok' });
    for (const more of [{ tenant: 'other' }, { sub: 'user-2' }]) {
      const client = await connect(rig, { token: token(), protocols: ['fermata.v1'] });
      client.send({ type: 'auth', token: token(claims(more)) });
      expect(await client.closed).toBe(4403);
    }
    rig.clock.skewMs = 700_000;
    const fresh = await connect(rig, { token: token(claims({ exp: nowS + 80_000 })) });
    await until(() => rig.gateway.counts().sockets === 2);
    expect((await fresh.rpc('echo', 1))['result']).toBe(1);
    expect((await renewed.rpc('echo', 2))['result']).toBe(2);
  });
});

describe('development', () => {
  it('lets in without a token as tenant dev, and checks a token that is given', async () => {
    const devSecret = 'd'.repeat(32);
    const rig = await startRig({ dev: true, auth: { secret: undefined }, gateway: { devSecret } });
    const client = await connect(rig);
    await client.rpc('echo');
    expect(rig.shards.seen[0]!.envelope).toMatchObject([0, 1, { tenant: 'dev', userId: null, claims: {} }]);
    expect((await upgrade(rig, { token: token(claims(), {}, devSecret) })).status).toBe(101);
    expect((await upgrade(rig, { token: token() })).status).toBe(401);
    expect((await fetch(`${rig.http}/v1/actors/counter/c1/state`)).status).toBe(200);
  });

  it('is the only case without a token: a development secret outside of it opens nothing', async () => {
    await expect(startRig({ auth: { secret: undefined }, gateway: { devSecret: 'd'.repeat(32) } })).rejects.toThrow(
      /no key to verify tokens with: set AUTH_JWT_SECRET/,
    );
  });
});

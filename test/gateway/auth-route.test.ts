import { afterEach, describe, expect, it } from 'vitest';
import { bearer, expectSecurityHeaders } from './requests.ts';
import { startRig, stopRigs } from './rig.ts';
import { claims, token } from './tokens.ts';

afterEach(stopRigs);

describe('GET /v1/auth', () => {
  it('tells who one is when the token is good, and opens no session for it', async () => {
    const rig = await startRig();
    const answer = await fetch(`${rig.http}/v1/auth`, { headers: bearer });
    expect([answer.status, await answer.json()]).toEqual([200, { tenant: 'acme', userId: 'user-1' }]);
    expectSecurityHeaders(answer.headers);
    const head = await fetch(`${rig.http}/v1/auth`, { method: 'HEAD', headers: bearer });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect(rig.gateway.counts()).toMatchObject({ tenants: 0, httpPrincipals: 0 });
  });

  it.each([
    ['no token', {}],
    ['a token that expired', { authorization: `Bearer ${token(claims({ exp: 1 }))}` }],
    ['a token of another key', { authorization: `Bearer ${token(claims(), {}, 'x'.repeat(40))}` }],
    ['another scheme', { authorization: 'Basic eDp5' }],
  ])('is 401 with %s', async (_what, headers: Record<string, string>) => {
    const answer = await fetch(`${(await startRig()).http}/v1/auth`, { headers });
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    expect(await answer.json()).toMatchObject({ error: { code: 'UNAUTHORIZED' } });
  });

  it('needs no token in development', async () => {
    const rig = await startRig({ dev: true });
    expect(await (await fetch(`${rig.http}/v1/auth`)).json()).toEqual({ tenant: 'dev', userId: null });
    const wrong = await fetch(`${rig.http}/v1/auth`, { headers: { authorization: 'Bearer x' } });
    expect(wrong.status).toBe(401);
  });

  it('can be asked by pages of allowed origins, preflight included, and by no others', async () => {
    const rig = await startRig({ allowedOrigins: ['https://app.example'] });
    const ask = (origin: string, method = 'GET') =>
      fetch(`${rig.http}/v1/auth`, { method, headers: { ...bearer, origin } });
    const preflight = await ask('https://app.example', 'OPTIONS');
    expect([preflight.status, preflight.headers.get('allow')]).toEqual([204, 'GET, HEAD']);
    expect(preflight.headers.get('access-control-allow-headers')).toContain('Authorization');
    const good = await ask('https://app.example');
    expect([good.status, good.headers.get('access-control-allow-origin')]).toEqual([200, 'https://app.example']);
    const refused = await fetch(`${rig.http}/v1/auth`, { headers: { origin: 'https://app.example' } });
    expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([401, 'https://app.example']);
    const bad = await ask('https://app.example.evil');
    expect([bad.status, bad.headers.get('access-control-allow-origin')]).toEqual([403, null]);
    expect((await ask('https://app.example', 'POST')).status).toBe(405);
  });

  it('says like an upgrade that the process is not ready for anybody', async () => {
    const rig = await startRig();
    rig.phase.set('draining');
    const answer = await fetch(`${rig.http}/v1/auth`, { headers: bearer });
    expect([answer.status, await answer.json()]).toMatchObject([503, { error: { code: 'DRAINING' } }]);
  });
});

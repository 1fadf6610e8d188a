import { describe, expect, it } from 'vitest';
import { comeBack, connected, delayAfterLoss, inSession, type Rig, rig, roundTrip } from './rig.ts';

const bornAt = 1_893_456_000;

/** Unsigned; expires `lifeS` seconds after the start of the manual clock. */
function jwt(lifeS: number, more: object = {}): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'HS256' })}.${part({ sub: 'ä/ü?~', exp: bornAt + lifeS, ...more })}.x`;
}

/** The delays of timers that belong to nothing but the token: calls, proof and heartbeat are taken away. */
function tokenTimers(test: Rig): number[] {
  return test.clock.pendingMs.filter((ms) => ms !== 5000 && ms !== 45_000);
}

describe('a token that expires', () => {
  it('is renewed at most 60 s before, at a random time, on the open connection', async () => {
    const tokens = [jwt(3600), jwt(3600 + 3570)];
    await using test = await inSession({ token: () => tokens.shift() ?? '' });
    // A random half of the last minute: 45 s before.
    expect(tokenTimers(test)).toEqual([3_555_000]);
    test.clock.chance = 0;
    // In steps that the heartbeat does not notice.
    for (let step = 1; step < 90; step += 1) {
      test.clock.advance(39_500);
      await roundTrip(test, test.peer);
    }
    test.clock.advance(39_500);
    const frame = await test.peer.frame();
    expect(frame).toEqual({ type: 'auth', token: jwt(3600 + 3570) });
    test.peer.send({ type: 'auth:ok' });
    await roundTrip(test, test.peer);
    expect(test.clock.pendingMs.at(-1)).toBe((3600 + 3570) * 1000 - 3_555_000 - 60_000);
    expect(test.reports).toEqual([]);
    expect(test.server.opened).toBe(1);
  });

  it.each([
    ['soon: in the last fifth of its life', jwt(100), [85_000]],
    ['in a moment: never less than 1 s from now', jwt(1), [1000]],
    ['before the connection, by this clock: not at all', jwt(-5), []],
    ['in a word that is no number: not at all', jwt(0, { exp: 'soon' }), []],
    ['never: not at all', jwt(0, { exp: undefined }), []],
    ['by no word, as it is no JWT: not at all', 'opaque', []],
    ['by no word, as its payload is no JSON: not at all', 'a.b.c', []],
    ['by no word, as its payload is null: not at all', `a.${Buffer.from('null').toString('base64url')}.c`, []],
  ])('%s', async (_, token, timers) => {
    await using test = await inSession({ token: () => token });
    expect(tokenTimers(test)).toEqual(timers);
    expect(test.reports).toEqual([]);
  });

  it('is left alone when it is fixed, and by a server without the additions', async () => {
    await using fixed = await inSession({ token: jwt(100) });
    expect(tokenTimers(fixed)).toEqual([]);
    await using base = await connected({ token: () => jwt(100) });
    expect(tokenTimers(base)).toEqual([]);
  });

  it('is renewed again and again with growing delays when the server refuses or the fetch fails, and reported each time', async () => {
    let asked = 0;
    await using test = await inSession({
      token: () => {
        asked += 1;
        if (asked === 3) throw new Error('no token today');
        return jwt([100, 200, 0, 120, 300][asked - 1] ?? 0);
      },
    });
    test.clock.chance = 0.999_999_999;
    test.clock.advance(40_000);
    await roundTrip(test, test.peer);
    test.clock.advance(45_000 - 1);
    await roundTrip(test, test.peer);
    test.clock.advance(1);
    expect(await test.peer.frame()).toEqual({ type: 'auth', token: jwt(200) });
    const error = { type: 'error', re: { type: 'auth' }, code: 'UNAUTHORIZED', message: 'no', retryable: false };
    test.peer.send(error);
    await roundTrip(test, test.peer);
    expect(Math.round(tokenTimers(test)[0] ?? 0)).toBe(1000 + 1000);
    test.clock.advance(2000);
    await expect.poll(() => asked, { interval: 2 }).toBe(3);
    await roundTrip(test, test.peer);
    expect(Math.round(tokenTimers(test)[0] ?? 0)).toBe(1000 + 2000);
    test.clock.advance(3000);
    expect(await test.peer.frame()).toEqual({ type: 'auth', token: jwt(120) });
    test.peer.send({ type: 'auth:ok' });
    await roundTrip(test, test.peer);
    expect(test.reports).toMatchObject([
      { name: 'FermataError', code: 'UNAUTHORIZED', outcome: 'rejected' },
      { message: 'no token today' },
    ]);
    // A token that was taken starts the delays over.
    test.clock.advance(tokenTimers(test)[0] ?? 0);
    expect(await test.peer.frame()).toEqual({ type: 'auth', token: jwt(300) });
    test.peer.send(error);
    await roundTrip(test, test.peer);
    expect(Math.round(tokenTimers(test)[0] ?? 0)).toBe(1000 + 1000);
    expect(test.client.connection.status).toBe('connected');
  });

  it('is not renewed any more when the connection is gone, and the next one starts with a fresh one', async () => {
    const tokens = [jwt(100), jwt(150)];
    await using test = await inSession({ token: () => tokens.shift() ?? '' });
    const peer = await comeBack(test, test.peer);
    expect(peer.offered).toContain(jwt(150));
    const [timer] = tokenTimers(test);
    expect(timer).toBeGreaterThan(127_000);
    expect(tokenTimers(test)).toHaveLength(1);
    test.client.connection.close();
    expect(test.clock.pendingMs).toEqual([]);
  });

  it('may be answered when nothing was asked', async () => {
    await using test = await inSession({ token: () => jwt(100) });
    test.peer.send({ type: 'auth:ok' });
    await roundTrip(test, test.peer);
    expect(tokenTimers(test)).toEqual([85_000]);
  });

  it('that the server ends (4401) is replaced once more by a reconnect into the old session', async () => {
    let asked = 0;
    await using test = await inSession({ token: () => jwt(100 + (asked += 1)) });
    const delayMs = await delayAfterLoss(test, test.peer, 4401);
    test.clock.advance(delayMs);
    const peer = await test.server.resumed(true);
    expect(peer.offered).toContain(jwt(102));
    await test.status('connected');
  });
});

describe('a token function that never answers', () => {
  it('does not hold up the connection that is open', async () => {
    let asked = 0;
    const first = jwt(10);
    await using test = await rig({ token: () => ((asked += 1) === 1 ? first : new Promise<string>(() => {})) });
    test.clock.advance(0);
    const peer = await test.server.session();
    await test.status('connected');
    test.clock.advance(9000);
    expect(asked).toBe(2);
    await roundTrip(test, peer);
    expect(test.client.connection.status).toBe('connected');
  });
});

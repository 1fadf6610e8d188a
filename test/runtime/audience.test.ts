import { afterEach, describe, expect, it, vi } from 'vitest';
import { Rig } from './rig.ts';
import { app, gate, log, ok, refused } from './rig-app.ts';

let rig: Rig;
afterEach(async () => {
  gate.open();
  await rig.stop();
  rig.remove();
  vi.restoreAllMocks();
});

describe('streams', () => {
  it('send patch, events and result of a call in that order, after the snapshot', async () => {
    rig = new Rig(app);
    const session = rig.session({ additions: false });
    rig.subscribe(session, 'counter', 'c1', 'state');
    rig.subscribe(session, 'counter', 'c1', 'event');
    await rig.call(session, 'counter', 'c1', 'add', { amount: 3 });
    expect(rig.framesOf(session)).toEqual([
      { type: 'state:snapshot', actor: 'counter', actorId: 'c1', state: { count: 0, items: [] } },
      { type: 'state:patch', actor: 'counter', actorId: 'c1', patches: [{ op: 'replace', path: '/count', value: 3 }] },
      { type: 'event', actor: 'counter', actorId: 'c1', event: 'added', payload: { amount: 3 } },
    ]);
    expect(rig.seen.at(-1)).toEqual({ kind: 'reply', call: 1 });
  });

  it('reach exactly the clients that an event is addressed to', async () => {
    rig = new Rig(app);
    const [a, b, c] = [
      rig.session({ clientId: 'a' }),
      rig.session({ clientId: 'b' }),
      rig.session({ clientId: 'c' }),
    ] as const;
    for (const session of [a, b, c]) rig.subscribe(session, 'counter', 'c1', 'event');
    await rig.call(a, 'counter', 'c1', 'whisper', { to: ['a', 'c', 'nobody'] });
    await rig.call(a, 'counter', 'c1', 'whisper', { to: ['a'], except: true });
    expect([a, b, c].map((session) => rig.framesOf(session).length)).toEqual([1, 1, 2]);
  });

  it('stop with unsubscribe, and a second subscription sends the snapshot again', async () => {
    rig = new Rig(app);
    const session = rig.session();
    rig.subscribe(session, 'counter', 'c1', 'state');
    rig.subscribe(session, 'counter', 'c1', 'state');
    rig.unsubscribe(session, 'counter', 'c1', 'state');
    await rig.call(session, 'counter', 'c1', 'add', { amount: 1 });
    expect(rig.framesOf(session).map((frame) => frame['type'])).toEqual(['state:snapshot', 'state:snapshot']);
  });

  it('are closed to clients that middleware refuses, as are calls and reads', async () => {
    rig = new Rig(app);
    const stranger = rig.session();
    const member = rig.session({ claims: { member: true } });
    rig.subscribe(stranger, 'members', 'm', 'state');
    expect(await rig.call(stranger, 'members', 'm', 'tell')).toEqual(refused('FORBIDDEN', 'Members only (call)'));
    expect(await rig.read(stranger, 'members', 'm')).toEqual(refused('FORBIDDEN', 'Members only (subscribe)'));
    expect(rig.framesOf(stranger)).toEqual([expect.objectContaining({ type: 'error', code: 'FORBIDDEN' })]);
    expect(await rig.call(member, 'members', 'm', 'tell')).toEqual(ok(['s', true]));
    expect(await rig.read(member, 'members', 'm')).toEqual(ok({ secret: 's' }));
  });
});

describe('presence', () => {
  it('is in the first snapshot, and ends with the connection', async () => {
    rig = new Rig(app);
    const [a, b] = [rig.session({ clientId: 'a' }), rig.session({ clientId: 'b' })];
    rig.subscribe(a, 'visits', 'v', 'state');
    await rig.call(b, 'visits', 'v', 'list');
    expect(rig.framesOf(a)[0]).toMatchObject({ type: 'state:snapshot', state: { online: ['a'], activations: 1 } });
    rig.end(b);
    expect(await rig.call(a, 'visits', 'v', 'list')).toEqual(ok({ online: ['a'], activations: 1 }));
  });

  it('survives a hook that throws: the change is undone, the client is served', async () => {
    rig = new Rig(app);
    const bad = rig.session({ clientId: 'bad' });
    expect(await rig.call(bad, 'visits', 'v', 'list')).toEqual(ok({ online: [], activations: 1 }));
  });

  it('is kept while the actor is out of memory, and onDisconnect still runs', async () => {
    rig = new Rig(app, { limits: { actorIdleMs: 1 } });
    const a = rig.session({ clientId: 'a' });
    await rig.call(a, 'visits', 'v', 'list');
    log.length = 0;
    await vi.waitUntil(() => log.includes('deactivated'), { timeout: 5000 });
    rig.end(a);
    const b = rig.session({ clientId: 'b' });
    const reply = await rig.call(b, 'visits', 'v', 'list');
    expect(reply.ok && reply.result).toMatchObject({ online: ['b'] });
    expect(reply.ok && (reply.result as { activations: number }).activations).toBeGreaterThan(1);
  });

  it('has no place for callers over HTTP', async () => {
    rig = new Rig(app);
    expect(await rig.call(rig.session({ kind: 'http' }), 'visits', 'v', 'list')).toEqual(
      ok({ online: [], activations: 1 }),
    );
  });
});

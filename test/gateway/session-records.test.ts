import { afterEach, describe, expect, it } from 'vitest';
import { SessionRecords } from '../../src/gateway/session-records.ts';
import { Session } from '../../src/gateway/session.ts';
import { comeBack, connect, type Rig, startRig, stopRigs, until } from './rig.ts';
import { token } from './tokens.ts';

afterEach(stopRigs);

const given = token();
const additions = { token: given, protocols: ['fermata.v1'] };

/** What changed since the last time, one line per session. */
const taken = (rig: Rig) =>
  rig.gateway.takeSessionRecords().map(({ clientId, status, reason }) => [clientId, status, reason]);

describe('session records', () => {
  it('say who is there, since when, and in which run of the process', async () => {
    const rig = await startRig();
    const fromMs = Date.now();
    const { clientId, sessionId } = (await connect(rig, additions)).messages[0]!;
    const base = (await connect(rig, { token: given })).messages[0]!;
    const records = rig.gateway.takeSessionRecords();
    expect(records).toEqual([
      {
        tenant: 'acme',
        sessionId,
        clientId,
        userId: 'user-1',
        status: 'active',
        reason: '',
        boot: 'boot-of-tests',
        connectedMs: expect.any(Number),
        seenMs: expect.any(Number),
      },
      expect.objectContaining({ clientId: base['clientId'], status: 'active' }),
    ]);
    expect(records[0]!.connectedMs).toBeGreaterThanOrEqual(fromMs);
    expect(records[0]!.connectedMs).toBeLessThanOrEqual(Date.now());
    expect(rig.gateway.takeSessionRecords()).toEqual([]);
  });

  it('follow a session through loss, return, loss and end; between two takes only the last counts', async () => {
    const rig = await startRig();
    const client = await connect(rig, additions);
    const { clientId, resumeToken } = client.messages[0]!;
    client.socket.terminate();
    await until(() => rig.gateway.counts().detached === 1);
    expect(taken(rig)).toEqual([[clientId, 'detached', '']]);
    const again = await comeBack(rig, resumeToken, given);
    // Nothing of the session that the new connection had for a moment.
    expect(taken(rig)).toEqual([[clientId, 'active', '']]);
    again.client.socket.terminate();
    await until(() => rig.gateway.counts().detached === 1);
    const [{ seenMs } = { seenMs: 0 }] = rig.gateway.takeSessionRecords();
    rig.clock.skewMs = 60_001;
    rig.clock.monotonicSkewMs = 60_001;
    await until(() => rig.gateway.counts().detached === 0);
    const [ended] = rig.gateway.takeSessionRecords();
    expect(ended).toMatchObject({ clientId, status: 'inactive', reason: 'expired', seenMs });
    expect(taken(rig)).toEqual([]);
  });

  it('end a session that was told of and then gave way to the one that its client came back for', async () => {
    const rig = await startRig();
    const client = await connect(rig, additions);
    const { clientId, resumeToken } = client.messages[0]!;
    const next = await connect(rig, additions);
    rig.gateway.takeSessionRecords();
    next.send({ type: 'hello', resumeToken });
    await next.next('welcome');
    expect(taken(rig)).toEqual([
      [next.messages[0]!['clientId'], 'inactive', 'closed'],
      [clientId, 'active', ''],
    ]);
  });

  it('tell an end by the client from one by the server', async () => {
    const rig = await startRig();
    const [closed, base, there] = [
      await connect(rig, additions),
      await connect(rig, { token: given }),
      await connect(rig, additions),
    ];
    const lost = await connect(rig, additions);
    const idOf = (client: typeof lost) => client.messages[0]!['clientId'];
    closed.socket.close();
    base.socket.terminate();
    lost.socket.terminate();
    await until(() => rig.gateway.counts().sockets === 1 && rig.gateway.counts().detached === 1);
    expect(new Map(taken(rig).map(([id, ...end]) => [id, end.join(' ')]))).toEqual(
      new Map([
        [idOf(closed), 'inactive closed'],
        [idOf(base), 'inactive closed'],
        [idOf(there), 'active '],
        [idOf(lost), 'detached '],
      ]),
    );
    const late = await connect(rig, { token: given });
    await rig.gateway.close(0);
    const last = taken(rig);
    expect(last).toHaveLength(3);
    for (const client of [there, lost, late]) expect(last).toContainEqual([idOf(client), 'inactive', 'shutdown']);
    expect(taken(rig)).toEqual([]);
  });

  it('are bounded when nobody takes them: the oldest go', () => {
    const records = new SessionRecords('boot', 2);
    const sessions = ['a', 'b', 'c'].map((id, at) => {
      const info = {
        tenant: 't',
        sessionId: id,
        clientId: id,
        userId: null,
        claims: {},
        kind: 'ws',
        additions: true,
      } as const;
      return new Session(at, info, { calls: 0, sessions: 1 }, { connectedMs: 1, nowMs: 1 }, { calls: 0 });
    });
    for (const session of sessions) records.active(session);
    expect(records.take().map(({ sessionId }) => sessionId)).toEqual(['b', 'c']);
  });
});

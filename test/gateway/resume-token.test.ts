import { afterEach, describe, expect, it } from 'vitest';
import { comeBack, connect, lost, startRig, stopRigs } from './rig.ts';
import { claims, token } from './tokens.ts';

afterEach(stopRigs);

const given = token();
const additions = { token: given, protocols: ['fermata.v1'] };

describe('a resume token', () => {
  it.each([
    ['another tenant', claims({ tenant: 'other' })],
    ['another user', claims({ sub: 'user-2' })],
  ])('is worth nothing to %s, and stays good for its owner', async (_whom, stranger) => {
    const rig = await startRig();
    const before = await lost(rig, given);
    const thief = await comeBack(rig, before.resumeToken, token(stranger));
    expect(thief.welcome).toEqual(thief.first);
    expect(rig.gateway.counts().detached).toBe(1);
    expect((await comeBack(rig, before.resumeToken, given)).welcome).toMatchObject({ resumed: true });
  });

  it('works until its client is known to have the next one', async () => {
    const rig = await startRig();
    const before = await lost(rig, given);
    // The line dies again before the second welcome has arrived: the client comes with the token that it has.
    const deaf = await comeBack(rig, before.resumeToken, given);
    const again = await comeBack(rig, before.resumeToken, given);
    expect([deaf.welcome, again.welcome]).toMatchObject([{ resumed: true }, { resumed: true }]);
    expect(again.welcome['clientId']).toBe(deaf.welcome['clientId']);
    expect(await again.client.rpc('echo', 1)).toMatchObject({ result: 1 });
    const replay = await comeBack(rig, before.resumeToken, given);
    expect(replay.welcome).toMatchObject({ resumed: false });
    expect(await again.client.rpc('echo', 2)).toMatchObject({ result: 2 });
  });

  it.each(['', 'x', '0.x', '9.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', '__proto__'])(
    'that nobody was given, such as "%s", gets a session of its own',
    async (wrong) => {
      const { welcome, first } = await comeBack(await startRig(), wrong, given);
      expect(welcome).toEqual(first);
    },
  );

  it('of the connection itself changes nothing', async () => {
    const rig = await startRig();
    const client = await connect(rig, additions);
    client.send({ type: 'hello', resumeToken: client.messages[0]!['resumeToken'] });
    expect(await client.next('welcome')).toEqual(client.messages[0]);
    expect(await client.rpc('echo', 1)).toMatchObject({ result: 1 });
  });

  it('that comes late or is no text is refused without effect', async () => {
    const rig = await startRig();
    const before = await lost(rig, given);
    const wrong = await connect(rig, additions);
    wrong.send({ type: 'hello', resumeToken: 7 });
    expect(await wrong.next('error')).toMatchObject({ code: 'MALFORMED', re: { type: 'hello' } });
    const late = await connect(rig, additions);
    late.send({ type: 'ping' });
    late.send({ type: 'hello', resumeToken: before.resumeToken });
    expect(await late.next('error')).toMatchObject({ code: 'MALFORMED', re: { type: 'hello' } });
    expect(rig.gateway.counts().detached).toBe(1);
  });

  it('is in no line of the log', async () => {
    const rig = await startRig();
    const before = await lost(rig, given);
    const { welcome } = await comeBack(rig, before.resumeToken, given);
    for (const secret of [before.resumeToken, welcome['resumeToken']]) expect(rig.lines.join('')).not.toContain(secret);
  });
});

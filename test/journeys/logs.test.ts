/**
 * The log of the shipped command: one id leads from the proxy's header to every line that a call leaves, from its handler to
 * the commit that failed; and whatever clients send, no line has a token and none is broken.
 */
import { randomBytes } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { BaseClient } from '../support/base-client.ts';
import { FaultyDisk } from '../support/faulty-disk.ts';
import { post } from '../support/http.ts';
import type { LogLine, ServerProcess } from '../support/server.ts';
import { Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';
import { eventually } from '../support/wait.ts';

function newStage(): Stage {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  return stage;
}

const hex = (digits: number): string => randomBytes(digits / 2).toString('hex');

/** What nginx sends along, and the trace context of a caller. */
function names() {
  const requestId = hex(32);
  const traceId = hex(32);
  return { requestId, traceId, traceparent: `00-${traceId}-${hex(16)}-01` };
}

/** Every line in which the text stands, wherever. */
function linesWith({ logs }: ServerProcess, text: string): LogLine[] {
  return logs.filter((line) => JSON.stringify(line).includes(text));
}

const address = { tenant: 'acme', actor: 'talk', actorId: 't' };
const call = { actor: 'talk', actorId: 't' };

describe('the ids of a call', () => {
  test('are in the line of the gateway and in those of its handler, which can pass its trace on', async () => {
    const stage = newStage();
    const server = await stage.serve({ app: 'talk', args: ['--log-level', 'debug'] });
    const { requestId, traceId, traceparent } = names();
    const headers = { 'x-request-id': requestId, 'x-forwarded-for': '192.0.2.7', 'x-forwarded-proto': 'https' };
    const client = await BaseClient.connect(server.address, { token: await mint(), v1: true, headers });
    onTestFinished(() => client.socket.terminate());
    client.send({ type: 'rpc', id: 'r1', ...call, method: 'say', input: 'hello', traceparent });
    expect(await client.until((frame) => frame['id'] === 'r1')).toMatchObject({ result: traceparent });
    await server.logged(({ msg, requestId: id }) => msg === 'call' && id === `${requestId}/r1`);
    const ids = { requestId: `${requestId}/r1`, traceId, ...address, method: 'say' };
    expect(linesWith(server, traceId)).toMatchObject([
      { level: 20, msg: 'before', ...ids, thread: expect.stringMatching(/^shard-/) as string },
      { level: 30, msg: 'hello', ...ids, said: 'hello' },
      { level: 20, msg: 'call', ...ids, thread: 'gateway-0', outcome: 'ok' },
    ]);
    // The connection's own line begins with the same id.
    expect(linesWith(server, requestId)[0]).toMatchObject({ msg: 'connected', requestId, tenant: 'acme' });
  });

  test('are in the line of the commit that failed', async () => {
    const stage = newStage();
    const disk = new FaultyDisk(stage.dataDir());
    stage.atEnd(() => disk.close());
    const server = await stage.serve({ app: 'talk', args: ['--log-level', 'debug'], env: disk.env });
    const token = await mint();
    await post(server.address, ['talk', 't', 'add'], { token });
    disk.strike({ match: '/journal/', sync: { error: 'EIO', times: 1 } });
    const { requestId, traceId, traceparent } = names();
    const headers = { 'x-request-id': requestId, traceparent };
    const answer = await post(server.address, ['talk', 't', 'add'], { token, headers });
    expect(answer.headers['x-request-id']).toBe(requestId);
    const { outcome } = answer.json().error!;
    await server.logged(({ msg, requestId: id }) => msg === 'call' && id === requestId);
    const ids = { requestId, traceId, ...address, method: 'add' };
    const lines = linesWith(server, traceId);
    expect(lines).toHaveLength(3);
    expect(lines).toContainEqual(expect.objectContaining({ msg: 'adding', before: 1, ...ids }));
    expect(lines).toContainEqual(expect.objectContaining({ msg: 'call', ...ids, outcome, level: 20 }));
    const failed = lines.find(({ msg }) => msg?.startsWith('a commit failed'));
    expect(failed).toMatchObject({ level: 50, outcome, actors: 1, calls: [ids] });
    expect(linesWith(server, requestId)).toHaveLength(3);
  });

  test('are in the lines of calls that went wrong: a mistake, an internal error, a turn over its time, a shard that died', async () => {
    const stage = newStage();
    const server = await stage.serve({ app: 'talk', args: ['--limit', 'turnMs=300'] });
    const token = await mint();
    const ask = async (method: string): Promise<ReturnType<typeof names>> => {
      const { requestId, traceId, traceparent } = names();
      await post(server.address, ['talk', 't', method], { token, headers: { 'x-request-id': requestId, traceparent } });
      return { requestId, traceId, traceparent };
    };
    const expected = [
      ['mistaken', 40, /^the app threw what looks like a mistake in it$/],
      ['notJson', 50, /^notJson of actor talk failed: /],
      ['hang', 40, /^a turn took too long and was ended$/],
      ['exit', 50, /^a shard died while it ran this call$/],
    ] as const;
    for (const [method, level, msg] of expected) {
      const { requestId, traceId } = await ask(method);
      const line = await server.logged((logged) => logged['requestId'] === requestId && logged.level === level);
      expect(line).toMatchObject({ ...address, method, requestId, traceId });
      expect(line.msg).toMatch(msg);
    }
  });

  test('are made for a call over HTTP that brings none, and told to its caller', async () => {
    const stage = newStage();
    const server = await stage.serve({ app: 'talk' });
    const answer = await post(server.address, ['talk', 't', 'add'], { token: await mint() });
    const line = await server.logged(({ msg }) => msg === 'adding');
    expect(line).toMatchObject({ requestId: answer.headers['x-request-id'], ...address });
    expect(line).not.toHaveProperty('traceId');
  });
});

/** Too long for the name of an actor or a request, which it would be logged as. */
const opaque = (): string => `s${hex(80)}`;

async function jwt(): Promise<{ text: string; secret: string }> {
  const secret = opaque();
  const text = await mint({ claims: { planted: secret } });
  return { text, secret };
}

describe('the log at level trace', () => {
  test('has none of 100 planted tokens', { timeout: 60_000 }, async () => {
    const stage = newStage();
    const server = await stage.serve({
      app: 'talk',
      args: ['--log-level', 'trace'],
      env: { AUTH_QUERY_TOKEN: 'true' },
    });
    const base = server.address.replace(/^http/, 'ws');
    const planted: string[] = [];
    /** A token that is good, or one that is wrong in one of three ways. */
    const plant = async (n: number): Promise<string> => {
      const { text, secret } = await jwt();
      const forged = `${text.slice(0, -8)}${hex(8)}`;
      const given = [text, forged, secret, `${secret}.${secret}.${secret}`][n % 4]!;
      planted.push(given);
      return given;
    };
    const open = async (path: string, protocols: string[], headers: Record<string, string> = {}): Promise<void> => {
      const socket = new WebSocket(`${base}${path}`, protocols, { headers });
      await new Promise((resolve) => {
        socket.once('open', resolve);
        socket.once('error', resolve);
      });
      socket.terminate();
    };
    const good = { authorization: `Bearer ${await mint()}` };
    const say = async (frames: readonly string[]): Promise<void> => {
      const socket = new WebSocket(`${base}/ws`, ['fermata.v1'], { headers: good });
      socket.on('error', () => undefined);
      const welcome = new Promise((resolve) => socket.once('message', resolve));
      await welcome;
      for (const frame of frames) socket.send(frame);
      await new Promise((resolve) => {
        socket.once('close', resolve);
        socket.once('message', resolve);
      });
      socket.terminate();
    };
    const rpc = { type: 'rpc', id: 'r', ...call, method: 'say', input: 'hi' };
    const ways: ((token: string) => Promise<unknown>)[] = [
      (token) => open('/ws', ['fermata.v1'], { authorization: `Bearer ${token}` }),
      (token) => open('/ws', ['fermata.v1', `bearer.${token}`]),
      (token) => open(`/ws?token=${token}`, []),
      (token) => say([JSON.stringify({ type: 'auth', token })]),
      (token) => post(server.address, ['talk', 't', 'add'], { token }),
      (token) => post(server.address, ['talk', token.slice(0, 250), 'add'], { headers: good }),
      (token) => open('/ws', ['fermata.v1'], { ...good, 'x-request-id': token, traceparent: token }),
      (token) => say([`{"type":"auth","token":"${token}"`]),
      (token) => say([JSON.stringify({ ...rpc, actor: token }), JSON.stringify({ type: token })]),
      (token) => say([JSON.stringify({ type: 'hello', resumeToken: token })]),
      (token) => say([JSON.stringify({ type: 'auth', token: { token } }), JSON.stringify({ ...rpc, key: token })]),
      (token) => say([JSON.stringify({ type: 'auth', token: [token] }), `{"token":"${token}","__proto__":{}}`]),
    ];
    // An opaque text as the id of an actor is an id, and logged as one; nobody can tell that it is a secret.
    const idWay = 5;
    for (let n = 0; planted.length < 100; n += 1) {
      const way = n % ways.length;
      const kind = way === idWay ? n % 2 : Math.floor(n / ways.length);
      await ways[way]!(await plant(kind));
    }
    await server.term();
    expect(planted).toHaveLength(100);
    // A piece is enough; the first part of a good token says nothing but how it is signed.
    const found = planted.filter((token) => {
      const parts = token.startsWith('eyJ') ? token.split('.').slice(1) : token.split('.');
      return parts.some((part) => server.output.includes(part.slice(0, 40)));
    });
    expect(found).toEqual([]);
    // And the lines in which they might have been are there.
    const messages = new Set(server.logs.map(({ msg }) => msg));
    for (const msg of ['refused a token', 'refused an upgrade', 'connected', 'call']) expect(messages).toContain(msg);
  });

  test('has one line of JSON for each event, whatever clients and authors write', async () => {
    const stage = newStage();
    const server = await stage.serve({ app: 'talk', args: ['--log-level', 'trace'] });
    const evil = 'x\n{"level":60,"msg":"forged"}\r\n\u001b[2J\u001b[31m\u2028\u0000"\\';
    const client = await stage.connect(server, { v1: true });
    await client.call({ ...call, method: 'say', input: evil, id: evil });
    await client.call({ ...call, method: 'complain', input: evil });
    await client.call({ ...call, actorId: '"}\\', method: 'notJson' });
    await client.call({ actor: evil, actorId: evil, method: evil });
    const inLines = evil.replace(/[\p{Cc}\u2028\u2029]/gu, '\ufffd');
    await server.logged(({ msg, requestId }) => msg === 'call' && String(requestId).endsWith(inLines));
    await server.logged(({ actorId }) => actorId === '"}\\');
    await server.term();
    const lines = server.output.split('\n').filter((line) => line !== '');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toHaveLength(server.logs.length);
    expect(server.logs.filter(({ msg, level }) => msg === 'forged' || level === 60)).toEqual([]);
    // oxlint-disable-next-line no-control-regex
    expect(server.output).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  });
});

test('a flood of internal errors is cut short, and the log says so', async () => {
  const stage = newStage();
  const server = await stage.serve({ app: 'talk' });
  const client = await stage.connect(server);
  await Promise.all(Array.from({ length: 200 }, () => client.call({ ...call, method: 'notJson' })));
  await server.term();
  expect(server.logs.filter((line) => line['what'] === 'notJson')).toHaveLength(20);
  const summary = await eventually(
    'the summary',
    () => server.logs.find((line) => line['leftOut'] !== undefined) ?? false,
  );
  expect(summary).toMatchObject({ level: 40, kind: 'notJson of talk failed', leftOut: 180 });
});

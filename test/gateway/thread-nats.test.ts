import { connect as dial, type NatsConnection, StringCodec } from 'nats';
import { WebSocket } from 'ws';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { plainNats } from '../../src/host/config-nats.ts';
import { Phase } from '../../src/host/phase.ts';
import { Thread } from '../../src/host/thread.ts';
import { inboundOp } from '../../src/protocol/envelope.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { slotOf } from '../../src/protocol/placement.ts';
import { idPattern, slots, streams, subjects } from '../../src/transport/nats-names.ts';
import { ensureStreams } from '../../src/transport/nats-streams.ts';
import { NatsServer } from '../support/nats-server.ts';
import { eventually } from '../support/wait.ts';
import { auth, until } from './rig.ts';
import { token } from './tokens.ts';

let server: NatsServer;
let nc: NatsConnection;
const threads: Thread[] = [];
const given = token();
const { open, call, detach, end } = inboundOp;
const subject = subjects.calls(slotOf('acme', slots));

beforeAll(async () => {
  server = await NatsServer.start();
  nc = await dial({ servers: server.url });
  await ensureStreams(nc, { replicas: 1, callsBytesMax: 64 * 1024 * 1024 });
});

afterEach(async () => {
  for (const thread of threads.splice(0)) await thread.terminate();
});

afterAll(async () => {
  await nc.close();
  await server.close();
});

/** A gateway thread that has no shard but what is behind this address. */
function spawn(index: number, url: string): Thread {
  const phase = new Phase();
  phase.set('ready');
  const nats = plainNats(url);
  const data = {
    index,
    gateways: 1,
    boot: `boot-${index}`,
    host: '127.0.0.1',
    exclusivePort: true,
    config: { dev: false, allowedOrigins: [], auth, limits: defaultLimits },
    ports: [],
    nats,
    phase: phase.memory,
    log: { level: 'silent', pretty: false },
  };
  const thread = new Thread(`gateway-${index}`, 'gateway', data, []);
  threads.push(thread);
  return thread;
}

/** A client that asks for the session of this token, with its two welcomes. */
async function come(port: number, resumeToken: unknown) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, ['fermata.v1'], {
    headers: { authorization: `Bearer ${given}` },
  });
  const heard: Record<string, unknown>[] = [];
  socket.on('message', (bytes: Buffer) => heard.push(JSON.parse(bytes.toString()) as Record<string, unknown>));
  socket.on('open', () => socket.send(JSON.stringify({ type: 'hello', resumeToken })));
  await until(() => heard.length === 2);
  return { socket, welcome: heard[1]! };
}

/** Inbound frames of the slot that wait in the stream, of all gateways, in order. */
async function waiting(): Promise<number[][][]> {
  const manager = await nc.jetstreamManager();
  const { state } = await manager.streams.info(streams.calls);
  const frames: number[][][] = [];
  for (let seq = state.first_seq; seq <= state.last_seq; seq += 1) {
    const message = await manager.streams.getMessage(streams.calls, { seq });
    const text = StringCodec().decode(message.data);
    if (message.subject === subject) frames.push(JSON.parse(text.slice(text.indexOf('\n') + 1)) as number[][]);
  }
  return frames;
}

it('gateway threads over NATS hand sessions over to each other, and their last words leave', async () => {
  const gone: string[] = [];
  nc.subscribe(subjects.beat, {
    callback: (_error, message) => {
      const [, kind = '', gateway = ''] = message.string().split(/\s/);
      if (kind === 'Q') gone.push(gateway);
    },
  });
  await nc.flush();
  const [a, b] = [spawn(0, server.url), spawn(1, server.url)];
  const { port } = await a.ask<{ port: number }>('start', 0);
  const before = await come(port, 'none');
  const [key = ''] = String(before.welcome['resumeToken']).split('.');
  expect(key).toMatch(idPattern);
  before.socket.send(JSON.stringify({ type: 'rpc', id: '1', actor: 'counter', actorId: 'c', method: 'add' }));
  const other = await b.ask<{ port: number }>('start', 0);
  await eventually('the call in the stream', async () => (await waiting()).length > 0);
  const after = await come(other.port, before.welcome['resumeToken']);
  const { clientId, sessionId } = before.welcome;
  expect(after.welcome).toMatchObject({ clientId, sessionId, resumed: true });
  for (const thread of [a, b]) await thread.ask('close', 500);
  // Open and call at the one; open under another number and end at the other.
  expect((await waiting()).flat().map(([op, session]) => [op, session])).toEqual([
    [open, 1],
    [call, 1],
    [open, 2],
    [detach, 2],
    [end, 2],
  ]);
  await until(() => gone.length === 2);
  expect(gone).toContain(key);
});

it('a gateway thread whose NATS is not there says so and what to do', async () => {
  await expect(spawn(0, 'nats://127.0.0.1:9').ask('start', 0)).rejects.toMatchObject({
    message: expect.stringContaining('no connection to NATS at nats://127.0.0.1:9'),
    hint: expect.stringContaining('nats-server'),
  });
});

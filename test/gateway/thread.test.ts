import { createSecretKey, randomBytes, randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';
import { afterEach, describe, expect, it } from 'vitest';
import { Phase } from '../../src/host/phase.ts';
import { Thread } from '../../src/host/thread.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { layCables, shardLink } from '../../src/transport/embedded.ts';
import { auth, until } from './rig.ts';
import { token } from './tokens.ts';

const threads: Thread[] = [];

afterEach(async () => {
  for (const thread of threads.splice(0)) await thread.terminate();
});

/** A gateway thread over one scripted shard. */
function start(place: { index: number; gateways: number; boot: string } = { index: 0, gateways: 1, boot: 'alone' }): {
  thread: Thread;
  phase: Phase;
  shard: ReturnType<typeof shardLink>;
} {
  const phase = new Phase();
  const { toShards, toGateways } = layCables(1, 1);
  const data = {
    ...place,
    host: '127.0.0.1',
    exclusivePort: true,
    config: { dev: false, allowedOrigins: [], auth, limits: defaultLimits },
    devSecret: createSecretKey(randomBytes(32)).export().toString('hex'),
    ports: toShards[0]!,
    phase: phase.memory,
    log: { level: 'silent', pretty: false },
  };
  const thread = new Thread(`gateway-${place.index}`, 'gateway', data, toShards[0]!);
  threads.push(thread);
  return { thread, phase, shard: shardLink(toGateways[0]!) };
}

describe('the gateway thread', () => {
  it('starts, serves, drains, closes and ends without taking the process along', async () => {
    const { thread, phase, shard } = start();
    const { port } = await thread.ask<{ port: number }>('start', 0);
    expect((await fetch(`http://127.0.0.1:${port}/ready`)).status).toBe(503);
    phase.set('ready');
    expect((await fetch(`http://127.0.0.1:${port}/ready`)).status).toBe(200);
    shard.onFrame((frame, gateway) => {
      for (const [op, , call] of JSON.parse(frame) as number[][])
        if (op === 2) shard.send(gateway, `K${call},1,0,2;42`);
    });
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers: { authorization: `Bearer ${token()}` } });
    const types: unknown[] = [];
    const closed = new Promise<number>((resolve) => {
      socket.on('close', resolve);
    });
    const answered = new Promise((resolve) => {
      socket.on('message', (data: Buffer) => {
        const message = JSON.parse(data.toString()) as { type: string; result?: unknown };
        types.push(message.type);
        if (message.type === 'rpc:result') resolve(message.result);
      });
    });
    socket.on('open', () =>
      socket.send(JSON.stringify({ type: 'rpc', id: '1', actor: 'counter', actorId: 'c', method: 'add' })),
    );
    expect(await answered).toBe(42);
    phase.set('draining');
    await thread.ask('stopListening');
    await thread.ask('announceShutdown', 1000);
    await thread.ask('settled');
    await thread.ask('close', 500);
    expect(await closed).toBe(1012);
    expect(types).toEqual(['welcome', 'rpc:result', 'server:shutdown']);
    const records = await thread.ask<{ status: string; reason: string; boot: string }[]>('takeSessionRecords');
    expect(records).toMatchObject([{ status: 'inactive', reason: 'shutdown', boot: 'alone' }]);
    shard.close();
    await thread.terminate();
  });

  it('hands a session over to another one', async () => {
    const boot: string = randomUUID();
    const gateways = [start({ index: 0, gateways: 2, boot }), start({ index: 1, gateways: 2, boot })];
    const welcomes = async (port: number, resumeToken: unknown) => {
      const headers = { authorization: `Bearer ${token()}` };
      const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, ['fermata.v1'], { headers });
      const heard: Record<string, unknown>[] = [];
      socket.on('message', (data: Buffer) => heard.push(JSON.parse(data.toString()) as Record<string, unknown>));
      socket.on('open', () => socket.send(JSON.stringify({ type: 'hello', resumeToken })));
      await until(() => heard.length === 2);
      return heard[1]!;
    };
    const ports: number[] = [];
    for (const { thread, phase } of gateways) {
      phase.set('ready');
      ports.push((await thread.ask<{ port: number }>('start', 0)).port);
    }
    const before = await welcomes(ports[0]!, 'none');
    const after = await welcomes(ports[1]!, before['resumeToken']);
    expect(after).toMatchObject({ clientId: before['clientId'], sessionId: before['sessionId'], resumed: true });
    for (const { thread, shard } of gateways) {
      await thread.ask('close', 0);
      shard.close();
    }
  });

  it('that cannot listen says why and what to do', async () => {
    const first = start();
    const { port } = await first.thread.ask<{ port: number }>('start', 0);
    const second = start();
    await expect(second.thread.ask('start', port)).rejects.toMatchObject({
      message: expect.stringContaining(`cannot listen on 127.0.0.1:${port}`),
      hint: expect.stringContaining('--port'),
    });
    await first.thread.ask('close', 0);
  });
});

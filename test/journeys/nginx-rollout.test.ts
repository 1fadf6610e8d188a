/** Connections that live long behind the shipped nginx.conf: idle ones, a reload of nginx, a rollout of the server. */
import { once } from 'node:events';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { checkLimits, defaultLimits } from '../../src/protocol/limits.ts';
import { KeyedLoad, type KeyedLoadOptions } from '../support/keyed-load.ts';
import { needs } from '../support/needs.ts';
import { Nginx, shippedConfig } from '../support/nginx.ts';
import { freePort, Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';
import { TrapServer } from '../support/trap-server.ts';
import { eventually } from '../support/wait.ts';

beforeAll(() => void needs('nginx'), 300_000);

/** `CYCLES=10` for a longer look. */
const cycles = Number(process.env['CYCLES'] ?? 3);

function newStage(): Stage {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  return stage;
}

async function loaded(options: KeyedLoadOptions): Promise<KeyedLoad> {
  const load = await KeyedLoad.start(options);
  onTestFinished(() => load.close());
  return load;
}

/** A client that only listens. */
async function open(nginx: Nginx): Promise<{ readonly ended: Promise<{ code: number; last: string }> }> {
  const headers = { authorization: `Bearer ${await mint()}` };
  const socket = new WebSocket(`${nginx.address}/ws`, { ca: nginx.ca, headers });
  let last = '';
  socket.on('message', (data: Buffer) => (last = data.toString()));
  await once(socket, 'message');
  return { ended: once(socket, 'close').then(([code]) => ({ code: code as number, last })) };
}

function seconds(directive: string): number[] {
  return [...shippedConfig.matchAll(new RegExp(`^ +${directive} (\\d+)s;`, 'gm'))].map(([, value]) => Number(value));
}

test('an idle socket is the server’s to close: only the hour of proxy_read_timeout ends it in nginx', async () => {
  expect([seconds('proxy_read_timeout'), seconds('proxy_send_timeout')]).toEqual([[3600], [3600]]);
  // The longest idle time that a server can be given; it pings within.
  expect(() => checkLimits({ ...defaultLimits, socketIdleS: 961 })).toThrow('8 to 960');
  const server = await TrapServer.listen();
  onTestFinished(() => server.close());
  // The hour becomes 3 s, everything else 1 s: what ends the socket after more than 1 s is the hour.
  const others = [
    'client_header_timeout 10s',
    'client_body_timeout 10s',
    'keepalive_timeout 60s',
    'keepalive_timeout 5s',
    'send_timeout 30s',
    'proxy_connect_timeout 2s',
  ];
  const nginx = await Nginx.start(newStage(), {
    upstreams: [server.address],
    replacements: [
      ...others.map((from) => ({ from: ` ${from};`, to: ` ${from.replace(/\d+s/, '1s')};` })),
      { from: ' 3600s;', to: ' 3s;', times: 2 },
    ],
  });
  const socket = new WebSocket(`${nginx.address}/ws`, { ca: nginx.ca });
  await once(socket, 'open');
  const openedMs = performance.now();
  await once(socket, 'close');
  expect(performance.now() - openedMs).toBeGreaterThan(2000);
});

test('nginx -s reload under 200 clients: no call fails, everybody comes back, old workers end', async () => {
  const stage = newStage();
  const server = await stage.serve({ app: 'ledger' });
  const nginx = await Nginx.start(stage, {
    upstreams: [new URL(server.address).host],
    replacements: [{ from: 'worker_shutdown_timeout 30s;', to: 'worker_shutdown_timeout 1s;' }],
  });
  const load = await loaded({ targets: [nginx], sockets: 190, http: 10, pauseMs: 250 });
  await load.progress(1);
  const { clientIds } = load;
  expect(new Set(clientIds).size).toBe(190);
  const { oldWorkers } = await nginx.reload();
  await load.progress(1);
  await eventually('old workers end', () => !nginx.workers.some((pid) => oldWorkers.includes(pid)), 15_000);
  await load.progress(2);
  await eventually('all are connected', () => load.connected === 190);
  // The same sessions: for everybody else these clients were never away.
  expect(load.clientIds).toEqual(clientIds);
  await load.finish();
  expect(load.faults).toEqual([]);
  expect(server.logs.filter(({ level = 0 }) => level >= 50)).toEqual([]);
});

test('a rollout under 50 clients: no keyed call is lost or runs twice, everybody comes back', {
  timeout: 30_000 * cycles,
}, async () => {
  const stage = newStage();
  const dataDir = stage.dataDir();
  const port = await freePort();
  const start = () => stage.serve({ app: 'ledger', dataDir, args: ['--port', port] });
  let server = await start();
  const nginx = await Nginx.start(stage, { upstreams: [`127.0.0.1:${port}`] });
  const load = await loaded({ targets: [nginx], sockets: 40, http: 10, pauseMs: 20 });
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    await load.progress(3);
    const bystander = await open(nginx);
    expect(await server.term()).toEqual({ code: 0, signal: null });
    // What the server says at its end comes through.
    expect(await bystander.ended).toEqual({ code: 1012, last: expect.stringContaining('server:shutdown') });
    server = await start();
    await eventually('all are connected', () => load.connected === 40, 20_000);
  }
  await load.progress(3);
  await load.finish();
  expect(load.faults).toEqual([]);
  // The callers were really there while the server was away.
  expect(load.repeats).toBeGreaterThan(0);
  expect(nginx.accessLog).toContain('"upstreamStatus":"502"');
});

import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startAdmin } from '../../src/cli/admin.ts';
import type { Metrics } from '../../src/cli/metrics.ts';
import { Phase } from '../../src/host/phase.ts';

describe('the admin port', () => {
  it('answers 500 when the metrics cannot be gathered, and goes on', async () => {
    let isBroken = true;
    const { url } = await start(async () => {
      if (isBroken) throw new Error('nobody knows the memory of this process');
      return 'fermata_ready 1\n';
    });
    const broken = await fetch(`${url}/metrics`);
    expect(broken.status).toBe(500);
    expect(await broken.json()).toEqual({
      error: { code: 'INTERNAL', message: 'The metrics cannot be gathered: nobody knows the memory of this process' },
    });
    isBroken = false;
    const whole = await fetch(`${url}/metrics`);
    expect([whole.status, await whole.text()]).toEqual([200, 'fermata_ready 1\n']);
  });

  it('says on /health what the process has lost', async () => {
    const phase = new Phase();
    const { url } = await start(async () => '', phase);
    const look = async () => {
      const answer = await fetch(`${url}/health`);
      return [answer.status, await answer.json()];
    };
    expect(await look()).toEqual([200, { phase: 'starting', health: 'ok' }]);
    phase.set('ready');
    phase.setHealth('nats-gone');
    expect(await look()).toEqual([503, { phase: 'ready', health: 'nats-gone' }]);
    phase.setHealth('ok');
    expect(await look()).toEqual([200, { phase: 'ready', health: 'ok' }]);
  });

  it('may be closed while metrics are gathered', async () => {
    const asked = Promise.withResolvers<void>();
    const gathered = Promise.withResolvers<string>();
    const { port, close } = await start(() => {
      asked.resolve();
      return gathered.promise;
    });
    const socket = connect(port, '127.0.0.1');
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    socket.write('GET /metrics HTTP/1.1\r\nHost: admin\r\n\r\n');
    await asked.promise;
    close();
    await ended;
    gathered.resolve('too late\n');
    await gathered.promise;
  });
});

async function start(text: () => Promise<string>, phase = new Phase()) {
  const port = await freePort();
  const metrics = { contentType: 'text/plain', text } as unknown as Metrics;
  const close = await startAdmin({ host: '127.0.0.1', port, phase, details: () => ({}), metrics });
  onTestFinished(close);
  return { port, url: `http://127.0.0.1:${port}`, close };
}

async function freePort(): Promise<number> {
  const probe: Server = createServer();
  await new Promise<void>((resolve) => {
    probe.listen(0, '127.0.0.1', resolve);
  });
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { Phase } from '../../src/host/phase.ts';

test('a phase begins with starting and takes every name', () => {
  const phase = new Phase();
  expect(phase.name).toBe('starting');
  for (const name of ['ready', 'draining', 'starting'] as const) {
    phase.set(name);
    expect(phase.name).toBe(name);
  }
});

test('another thread sees what main sets, without a message', async () => {
  const phase = new Phase();
  const program = `
    const { Phase } = await import(process.env.PHASE_MODULE);
    const { parentPort, workerData } = await import('node:worker_threads');
    const phase = new Phase(workerData);
    parentPort.on('message', () => parentPort.postMessage(phase.name));
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`), {
    workerData: phase.memory,
    env: { PHASE_MODULE: new URL('../../src/host/phase.ts', import.meta.url).href },
  });
  const ask = () =>
    new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.postMessage('?');
    });
  expect(await ask()).toBe('starting');
  phase.set('draining');
  expect(await ask()).toBe('draining');
  await worker.terminate();
});

test('its health is ok until main says what is wrong, apart from its phase', () => {
  const phase = new Phase();
  const gateway = new Phase(phase.memory);
  expect([gateway.health, gateway.healthy]).toEqual(['ok', true]);
  phase.set('ready');
  for (const health of ['nats-gone', 'jetstream-gone'] as const) {
    phase.setHealth(health);
    expect([gateway.health, gateway.healthy, gateway.name, gateway.takesTraffic]).toEqual([
      health,
      false,
      'ready',
      true,
    ]);
  }
  phase.setHealth('ok');
  expect(gateway.healthy).toBe(true);
});

test('memory that holds no known phase counts as draining, the phase that promises least', () => {
  const memory = new SharedArrayBuffer(4);
  new Int32Array(memory)[0] = 9;
  expect(new Phase(memory).name).toBe('draining');
});

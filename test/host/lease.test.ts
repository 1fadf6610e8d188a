import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Lease, processMonotonicMs } from '../../src/host/lease.ts';
import { checkLimits, defaultLimits } from '../../src/protocol/limits.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

/** Both clocks, as the test sets them. */
function stubbedClocks(): { monotonicMs: number; wallMs: number } {
  const clocks = { monotonicMs: 1_000_000, wallMs: 50_000_000 };
  vi.spyOn(process.hrtime, 'bigint').mockImplementation(() => BigInt(clocks.monotonicMs) * 1_000_000n);
  vi.spyOn(Date, 'now').mockImplementation(() => clocks.wallMs);
  return clocks;
}

function renewed(clocks: { monotonicMs: number; wallMs: number }): Lease {
  const lease = new Lease();
  lease.renew(clocks.monotonicMs, clocks.wallMs, 10_000);
  return lease;
}

describe('a lease', () => {
  test('is not held before it was ever renewed', () => {
    expect(new Lease().held).toBe(false);
  });

  test('is held for its time on both clocks, and not a millisecond longer', () => {
    const clocks = stubbedClocks();
    const lease = renewed(clocks);
    clocks.monotonicMs += 9999;
    clocks.wallMs += 9999;
    expect(lease.held).toBe(true);
    clocks.monotonicMs += 1;
    clocks.wallMs += 1;
    expect(lease.held).toBe(false);
  });

  test('ends by the wall clock when the monotonic one stood still, as in a suspended machine', () => {
    const clocks = stubbedClocks();
    const lease = renewed(clocks);
    clocks.wallMs += 10_000;
    expect(lease.held).toBe(false);
  });

  test('ends by the monotonic clock when the wall clock was set back', () => {
    const clocks = stubbedClocks();
    const lease = renewed(clocks);
    clocks.monotonicMs += 10_000;
    clocks.wallMs -= 3_600_000;
    expect(lease.held).toBe(false);
  });

  test('counts from the moment at which it was asked for', () => {
    const clocks = stubbedClocks();
    const lease = new Lease();
    lease.renew(clocks.monotonicMs - 10_000, clocks.wallMs - 10_000, 10_000);
    expect(lease.held).toBe(false);
  });

  test('ends at once when it is ended', () => {
    const lease = new Lease();
    lease.renew(processMonotonicMs(), Date.now(), 60_000);
    expect(lease.held).toBe(true);
    lease.end();
    expect(lease.held).toBe(false);
  });

  test('is seen by another thread, whose own clock began later', async () => {
    const lease = new Lease();
    lease.renew(processMonotonicMs(), Date.now(), 60_000);
    const module = JSON.stringify(new URL('../../src/host/lease.ts', import.meta.url).href);
    const worker = new Worker(
      `const { parentPort, workerData } = require('node:worker_threads');
       import(${module}).then(({ Lease }) => {
         const lease = new Lease(workerData);
         parentPort.on('message', () => parentPort.postMessage(lease.held));
       });`,
      { eval: true, workerData: lease.memory },
    );
    const ask = async (): Promise<unknown> =>
      await new Promise((resolve) => {
        worker.once('message', resolve);
        worker.postMessage('held?');
      });
    expect(await ask()).toBe(true);
    lease.end();
    expect(await ask()).toBe(false);
    await worker.terminate();
  });
});

test('the length of leases has bounds', () => {
  expect(() => checkLimits({ ...defaultLimits, leaseMs: 999 })).toThrow('leaseMs must be 1000 to 600000');
  expect(() => checkLimits({ ...defaultLimits, leaseMs: 600_001 })).toThrow('leaseMs must be 1000 to 600000');
  expect(checkLimits({ ...defaultLimits, leaseMs: 1000 }).leaseMs).toBe(1000);
});

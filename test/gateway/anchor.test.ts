import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Anchor } from '../../src/gateway/anchor.ts';
import { connect as connectClient, startRig, stopRigs } from './rig.ts';
import { token } from './tokens.ts';

describe('the anchor', () => {
  it('holds the cork, longer than uWebSockets lets a silent connection live', async () => {
    const anchor = new Anchor();
    anchor.open();
    try {
      await expect.poll(() => anchor.ready).toBe(true);
      await new Promise((resolve) => {
        setTimeout(resolve, 13_000);
      });
      expect(anchor.ready).toBe(true);
      let ran = 0;
      anchor.cork(() => (ran += 1));
      expect(ran).toBe(1);
    } finally {
      anchor.close();
    }
    expect(anchor.ready).toBe(false);
  }, 20_000);

  it('runs what it is given also before the line is there', () => {
    const anchor = new Anchor();
    anchor.open();
    let ran = 0;
    anchor.cork(() => (ran += 1));
    anchor.close();
    expect(ran).toBe(1);
  });

  it('leaves no port open once the line is there', async () => {
    const anchor = new Anchor();
    const port = anchor.open();
    await expect.poll(() => anchor.ready).toBe(true);
    const refused = await new Promise((resolve) => {
      connect(port, '127.0.0.1').on('error', (error) => resolve((error as NodeJS.ErrnoException).code));
    });
    anchor.close();
    expect(refused).toBe('ECONNREFUSED');
  });

  it('lets one connection after the other in, also when none is open', async () => {
    const rig = await startRig({ limits: { messagesPerSecond: 0, messagesBurst: 0 } });
    for (let round = 0; round < 500; round += 1) {
      const client = await connectClient(rig, { token: token() });
      client.send('x'.repeat((round * 977) % 65_000));
      await client.closed;
    }
    await stopRigs();
  }, 30_000);
});

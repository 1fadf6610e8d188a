/** A call that ends every runtime that begins with it: put aside after the fifth, looked at, and made once when the cause is mended. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { headers } from 'nats';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inboundOp } from '../../src/protocol/envelope.ts';
import { slotOf } from '../../src/protocol/placement.ts';
import { deadLetterHeaders } from '../../src/transport/nats-dead-letters.ts';
import { slots, subjects } from '../../src/transport/nats-names.ts';
import { writeCalls } from '../../src/transport/nats-wire.ts';
import { fermata } from '../cli/command-fixture.ts';
import { Cluster } from '../support/cluster.ts';
import { type HttpAnswer, post } from '../support/http.ts';
import { mint } from '../support/token.ts';
import { eventually } from '../support/wait.ts';

let cluster: Cluster;
const tenant = 'acme';
const run = (...words: string[]) => fermata(words, { NATS_URL: cluster.nats.url });

beforeAll(async () => {
  // A caller that gave up before the fifth death would be known to nobody any more.
  const patient = ['--limit', 'remoteCallMsMax=110000'];
  cluster = await Cluster.start({ app: 'lethal', gateways: 1, runtimes: 1, gatewayArgs: patient });
}, 60_000);
afterAll(async () => {
  await cluster.end();
});

async function call(method: string, input?: unknown, key?: string): Promise<HttpAnswer> {
  const token = await mint({ tenant, sub: 'ada', claims: { badge: 'gold' } });
  return await post(cluster.gateways[0]!.address, ['account', 'a1', method], {
    token,
    ...(key === undefined ? {} : { key }),
    ...(input === undefined ? {} : { input }),
  });
}

async function letters(): Promise<unknown[]> {
  return JSON.parse((await run('dlq', 'list', '--json')).out) as unknown[];
}

/** Puts a frame with one call without a key aside, as a runtime would. */
async function bury(): Promise<void> {
  const info = {
    tenant,
    sessionId: 's1',
    clientId: 'client-1',
    userId: 'ada',
    claims: {},
    kind: 'ws',
    additions: true,
  };
  const frame = [
    [inboundOp.open, 1, info],
    [inboundOp.call, 1, 2, 'account', 'a1', 'add', '', -1, 0, { amount: 100 }],
  ];
  const header = { gateway: 'gatewayofold', link: 1, seq: 5, sentAtMs: Date.now(), sends: 0, epoch: 1 };
  const about = headers();
  about.set(deadLetterHeaders.kind, 'undone');
  const data = writeCalls(header, JSON.stringify(frame));
  await cluster.nc.jetstream().publish(subjects.dead(slotOf(tenant, slots)), data, { headers: about });
}

test('a frame with which five owners died is put aside, and its keyed call happens once when it is replayed', async () => {
  const [runtime] = cluster.runtimes;
  const cause = join(cluster.directory(), 'cause');
  writeFileSync(cause, '');
  expect((await call('add', { amount: 1 })).json()).toMatchObject({ result: 1 });
  expect(await run('status')).toMatchObject({
    exitCode: 0,
    out: expect.stringContaining('nothing needs you') as string,
  });

  const lethal = call('add', { amount: 10, unless: cause }, 'pay-1');
  // Most lives end before they are ready: slots are served a moment earlier.
  let lives = 1;
  for (let isBuried = false; !isBuried; lives += 1) {
    await runtime!.process.exited;
    const { exited } = runtime!.launch();
    const buried = eventually('a dead letter', async () => (await letters()).length > 0, 30_000);
    isBuried = await Promise.race([exited.then(() => false), buried.catch(() => false)]);
  }
  expect(lives).toBe(6);
  expect((await lethal).json()).toMatchObject({ error: { code: 'UNKNOWN' } });
  expect(await letters()).toMatchObject([{ seq: 1, kind: 'undone', calls: 1 }]);
  expect(await run('status')).toMatchObject({
    exitCode: 1,
    out: expect.stringContaining('fermata dlq list') as string,
  });
  const shown = (await run('dlq', 'show', '1')).out;
  expect(shown).toContain('"account" "a1" "add" "pay-1"');
  expect(shown).not.toContain('gold');
  expect((await run('dlq', 'show', '1', '--claims')).out).toContain('gold');

  rmSync(cause);
  const replayed = await run('dlq', 'replay', '1');
  expect(replayed).toMatchObject({ exitCode: 0, out: expect.stringContaining('key pay-1: ok 11') as string });
  expect(await letters()).toEqual([]);
  expect((await call('add', { amount: 10, unless: cause }, 'pay-1')).json()).toMatchObject({ result: 11 });
  expect((await call('look')).json()).toMatchObject({ result: { total: 11, visits: [] } });
}, 120_000);

test('a call without a key is made again only when that is asked for, and once however often', async () => {
  const { total } = (await call('look')).json().result as { total: number };
  await bury();
  expect(await run('dlq', 'replay', '--all')).toMatchObject({
    exitCode: 1,
    out: expect.stringContaining('not made again without --unkeyed') as string,
  });
  expect((await call('look')).json()).toMatchObject({ result: { total } });
  for (const time of [1, 2]) {
    if (time === 2) await bury();
    expect(await run('dlq', 'replay', '--all', '--unkeyed')).toMatchObject({
      exitCode: 0,
      out: expect.stringContaining(`ok ${total + 100}`) as string,
    });
    expect(await letters()).toEqual([]);
  }
  // Its caller had a socket once: nobody arrives and nobody leaves by the replay.
  expect((await call('look')).json()).toMatchObject({ result: { total: total + 100, visits: [] } });
}, 60_000);

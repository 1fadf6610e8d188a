import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { comeBack, connected, delayAfterLoss, inSession, refusal, rig, roundTrip } from './rig.ts';
import type { Frame } from './scripted-server.ts';

const numberOf = (call: Frame): number => Number(String(call['key']).split(':')[1]);
const inputs = (calls: Frame[]): unknown[] => calls.map(({ input }) => input);

describe('the number of a call', () => {
  it('is its key, under a name of the client that nobody can guess', async () => {
    await using test = await inSession();
    await using other = await inSession();
    for (const { client } of [test, other]) for (let n = 0; n < 2; n += 1) void client.counter('c1').increment();
    const calls = [...(await test.peer.frames(2)), ...(await other.peer.frames(2))];
    const names = calls.map(({ key }) => /^([A-Za-z0-9_-]{22}):[12]$/.exec(String(key))?.[1]);
    expect(calls.map(numberOf)).toEqual([1, 2, 1, 2]);
    expect(names[0]).toBe(names[1]);
    expect(names[2]).toBe(names[3]);
    expect(names[0]).not.toBe(names[2]);
  });

  it('comes with the mark up to which all calls have ended, never past one that is wanted', async () => {
    await using test = await inSession();
    const counter = test.client.counter('c1');
    const first = counter.add({ amount: 1 });
    const second = counter.add({ amount: 2 });
    const [one, two] = await test.peer.frames(2);
    test.peer.answer(two!, 2);
    await second;
    void counter.add({ amount: 3 });
    const three = await test.peer.frame();
    test.peer.answer(one!, 1);
    await first;
    void counter.add({ amount: 4 });
    const four = await test.peer.frame();
    expect([one!, two!, three, four].map((call) => [numberOf(call), call['ack']])).toEqual([
      [1, 0],
      [2, 0],
      [3, 0],
      [4, 2],
    ]);
  });

  it('is covered by the mark once its caller gave it up', async () => {
    await using test = await inSession();
    const counter = test.client.counter('c1');
    const late = refusal(counter.add({ amount: 1 }, { timeoutMs: 100 }));
    const controller = new AbortController();
    const aborted = refusal(counter.add({ amount: 2 }, { signal: controller.signal }));
    await test.peer.frames(2);
    test.clock.advance(100);
    controller.abort();
    expect((await late).outcome).toBe('unknown');
    expect((await aborted).outcome).toBe('unknown');
    void counter.add({ amount: 3 });
    expect(await test.peer.frame()).toMatchObject({ key: expect.stringMatching(/:3$/), ack: 2 });
  });

  it('is not spent on calls that never leave, nor on calls with a key of their own, which travel without a mark', async () => {
    await using test = await rig();
    const gone = refusal(test.client.counter('c1').increment(undefined, { timeoutMs: 50 }));
    test.clock.advance(50);
    await gone;
    const peer = await test.server.session();
    void test.client.counter('c1').increment(undefined, { key: 'mine' });
    void test.client.counter('c1').increment();
    const [own, numbered] = await peer.frames(2);
    expect(own).toMatchObject({ key: 'mine' });
    expect(own).not.toHaveProperty('ack');
    expect(numbered).toMatchObject({ key: expect.stringMatching(/:1$/), ack: 0 });
  });

  it('is not told to a server without the additions', async () => {
    await using test = await connected();
    void test.client.counter('c1').increment();
    const call = await test.peer.frame();
    expect(call).not.toHaveProperty('key');
    expect(call).not.toHaveProperty('ack');
  });
});

describe('after a lost connection', () => {
  it('everything without an answer is sent again, in the order of calling, under the same keys, and then what waited', async () => {
    await using test = await inSession();
    const answers = [1, 2, 3].map((amount) => test.client.counter('c1').add({ amount }));
    const before = await test.peer.frames(3);
    test.peer.answer(before[1]!, 'two');
    expect(await answers[1]).toBe('two');
    test.peer.cut();
    await test.status('reconnecting');
    answers.push(test.client.counter('c1').add({ amount: 4 }), test.client.counter('c2').add({ amount: 5 }));
    test.clock.advance(125);
    const peer = await test.server.resumed(true);
    const after = await peer.frames(4);
    expect(inputs(after)).toEqual([1, 3, 4, 5].map((amount) => ({ amount })));
    expect(after.slice(0, 2).map(({ key }) => key)).toEqual([before[0]!['key'], before[2]!['key']]);
    // The last one goes to another actor, which has nothing open below it.
    expect(after.map(({ ack }) => ack)).toEqual([0, 0, 0, 4]);
    for (const call of after) peer.answer(call, call['key']);
    expect(await answers[0]).toBe(before[0]!['key']);
    await Promise.all(answers);
    void test.client.counter('c1').increment();
    expect(await peer.frame()).toMatchObject({ key: expect.stringMatching(/:6$/), ack: 5 });
  });

  it('calls are sent again and again until an answer comes, also when the session is gone', async () => {
    await using test = await inSession();
    const answer = test.client.counter('c1').increment(undefined, { timeoutMs: 60_000 });
    const { key } = await test.peer.frame();
    let { peer } = test;
    let again: Frame = { type: '' };
    for (const resumed of [true, false, true]) {
      peer = await comeBack(test, peer, resumed);
      again = await peer.frame();
      expect(again['key']).toBe(key);
    }
    peer.answer(again, 1);
    expect(await answer).toBe(1);
  });

  it('a call with a key of its own is sent again, and one with retry: false ends as unknown', async () => {
    await using test = await inSession();
    const own = test.client.counter('c1').add({ amount: 1 }, { key: 'mine' });
    const once = refusal(test.client.counter('c1').add({ amount: 2 }, { retry: false }));
    await test.peer.frames(2);
    const peer = await comeBack(test, test.peer);
    expect(await once).toMatchObject({ code: 'CONNECTION_LOST', outcome: 'unknown', retryable: true });
    const again = await peer.frame();
    expect(again).toMatchObject({ key: 'mine', input: { amount: 1 } });
    peer.answer(again, 1);
    expect(await own).toBe(1);
  });

  it('a call ends as unknown when the next server knows no keys, and one that never left goes on', async () => {
    await using test = await inSession();
    const sent = refusal(test.client.counter('c1').add({ amount: 1 }));
    await test.peer.frame();
    const delay = await delayAfterLoss(test, test.peer);
    const waiting = test.client.counter('c1').add({ amount: 2 });
    test.clock.advance(delay);
    const peer = await test.server.welcome();
    expect(await sent).toMatchObject({ code: 'CONNECTION_LOST', outcome: 'unknown' });
    const call = await peer.frame();
    expect(call['input']).toEqual({ amount: 2 });
    expect(call).not.toHaveProperty('key');
    peer.answer(call, 2);
    expect(await waiting).toBe(2);
  });

  it('a call that was given up meanwhile is not sent again', async () => {
    await using test = await inSession();
    const gone = refusal(test.client.counter('c1').add({ amount: 1 }, { timeoutMs: 60 }));
    const wanted = test.client.counter('c1').add({ amount: 2 });
    await test.peer.frames(2);
    test.peer.cut();
    await test.status('reconnecting');
    test.clock.advance(60);
    expect(await gone).toMatchObject({ code: 'TIMEOUT', outcome: 'unknown', cause: { code: 'CONNECTION_LOST' } });
    test.clock.advance(65);
    const peer = await test.server.resumed(true);
    const call = await peer.frame();
    expect(call).toMatchObject({ input: { amount: 2 }, ack: 1 });
    peer.answer(call, 2);
    await wanted;
  });
});

describe('the bound of the server', () => {
  it('on calls without an answer is kept, calls that were given up included', async () => {
    await using test = await inSession({}, { limits: { frameBytesMax: 1000, connectionCallsMax: 2 } });
    const counter = test.client.counter('c1');
    const controller = new AbortController();
    const given = refusal(counter.add({ amount: 1 }, { signal: controller.signal }));
    const rest = [2, 3, 4].map((amount) => counter.add({ amount }));
    test.client.chat('r1').on('message', () => {});
    const [one, two, subscription] = await test.peer.frames(3);
    expect(subscription).toMatchObject({ type: 'event:sub' });
    controller.abort();
    expect((await given).outcome).toBe('unknown');
    test.client.chat('r2').on('message', () => {});
    expect(await test.peer.frame()).toMatchObject({ type: 'event:sub' });
    test.peer.answer(two!, 2);
    await rest[0];
    const three = await test.peer.frame();
    expect(three['input']).toEqual({ amount: 3 });
    // The server answers what was given up, too, and only then has room.
    test.peer.answer(one!, 1);
    const four = await test.peer.frame();
    expect(four['input']).toEqual({ amount: 4 });
    for (const call of [three, four]) test.peer.answer(call, 0);
    await Promise.all(rest);
  });
});

describe('the bound of the next connection', () => {
  it('starts with nothing in flight', async () => {
    const limits = { frameBytesMax: 1000, connectionCallsMax: 2 };
    await using test = await inSession({}, { limits });
    const answers = [1, 2].map((amount) => test.client.counter('c1').add({ amount }));
    await test.peer.frames(2);
    test.peer.cut();
    await test.status('reconnecting');
    test.clock.advance(125);
    const peer = await test.server.resumed(true, { limits });
    for (const call of await peer.frames(2)) peer.answer(call);
    await Promise.all(answers);
  });
});

describe('a rejection that nobody looks at', () => {
  it('does not end the process, and whoever looks later still gets it', () => {
    const module = JSON.stringify(new URL('../../src/client/client.ts', import.meta.url).href);
    const script = `
      import { createClient } from ${module};
      const client = createClient({ url: 'ws://127.0.0.1:9', onError() {} });
      client.counter('c1').increment();
      const late = client.counter('c1').increment();
      client.connection.close();
      client.counter('c1').increment();
      await new Promise((resolve) => setImmediate(resolve));
      console.log(await late.catch((error) => error.code));
    `;
    const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    expect({ stdout, stderr, status }).toEqual({ stdout: 'CLOSED\n', stderr: '', status: 0 });
  });
});

describe('numbers over a long life', () => {
  it('leave nothing behind: the mark follows the last call', async () => {
    await using test = await inSession();
    for (let n = 0; n < 10; n += 1) await roundTrip(test, test.peer);
    void test.client.counter('c1').increment();
    expect(await test.peer.frame()).toMatchObject({ key: expect.stringMatching(/:21$/), ack: 20 });
  });
});

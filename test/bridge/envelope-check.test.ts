import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkFrame, isLegal } from '../../src/bridge/envelope-check.ts';
import { type Inbound, InboundFrame, inboundOp } from '../../src/protocol/envelope.ts';
import { a, b, call, detach, end, httpInfo, infoOf, open, present, read, slot, startBridge, subscribe } from './rig.ts';

const check = (content: unknown, kind: 'calls' | 'presence' = 'calls') =>
  checkFrame({ text: typeof content === 'string' ? content : JSON.stringify(content), slot, kind }, 64);
const reasonOf = (content: unknown, kind: 'calls' | 'presence' = 'calls') => {
  const checked = check(content, kind);
  if (checked.kind === 'illegal') return checked.reason;
  return checked.envelopes.map((envelope) => (isLegal(envelope) ? 'legal' : envelope.reason)).join();
};
const envelopesOf = (content: unknown) => {
  const checked = check(content);
  return checked.kind === 'envelopes' ? checked.envelopes : [];
};

describe('a frame as a gateway writes it', () => {
  it('is taken as it is', () => {
    const frame = new InboundFrame();
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01|req-1';
    const said: Inbound[] = [
      open(1, infoOf('ann')),
      open(2, httpInfo('bot')),
      open(3, infoOf('dev', { userId: null, kind: 'sse', claims: {} })),
      read(1, 2),
      subscribe(1),
      [inboundOp.subscribe, 1, 'counter', 'c1', 'event', 'an-epoch', 0],
      [inboundOp.unsubscribe, 1, 'counter', 'c1', 'event'],
      detach(1),
      end(1),
      present(),
    ];
    for (const envelope of said) frame.add(envelope);
    frame.addCall(1, 1, 'counter', 'é"\\', 'add', 'client-a1:7', 6, 100, { deep: [[1]] });
    frame.addCall(1, 2, 'counter', 'c', 'add', '', -1, 0, undefined);
    frame.addCall(1, 3, 'counter', 'c', 'add', '', -1, 0, undefined, trace);
    frame.addCall(1, 4, 'counter', 'c', 'add', '', -1, 0, 7, '|only-a-request');
    expect(envelopesOf(frame.take()!)).toEqual([
      ...said,
      [2, 1, 1, 'counter', 'é"\\', 'add', 'client-a1:7', 6, 100, { deep: [[1]] }],
      [2, 1, 2, 'counter', 'c', 'add', '', -1, 0],
      [2, 1, 3, 'counter', 'c', 'add', '', -1, 0, null, trace, true],
      [2, 1, 4, 'counter', 'c', 'add', '', -1, 0, 7, '|only-a-request'],
    ]);
  });

  it('loses what is added to who a session is', () => {
    expect(envelopesOf([[inboundOp.open, 1, { ...infoOf('ann'), admin: true }]])).toEqual([open(1, infoOf('ann'))]);
  });
});

describe('what no gateway writes', () => {
  const changed = (envelope: Inbound, at: number, value: unknown) => {
    const copy: unknown[] = [...envelope];
    copy[at] = value;
    return [copy];
  };
  const info = (more: object) => [[inboundOp.open, 1, { ...infoOf('ann'), ...more }]];

  it.each<[string, unknown]>([
    ['the frame is no JSON', '[[1,2]'],
    ['the frame is no list of envelopes', { 0: end(1) }],
    ['envelope 1 of 1: it is no list', ['x']],
    ['its operation is unknown', [[]]],
    ['its operation is unknown', [['2', 1]]],
    ['its operation is unknown', [[inboundOp.leave, 1]]],
    ['end has 3 fields', [[inboundOp.end, 1, 2]]],
    ['end names no session', [[inboundOp.end, 0]]],
    ['detach names no session', [[inboundOp.detach, 1.5]]],
    ['present: it is no list of sessions', [[inboundOp.present, 0, [1, 'x']]]],
    ['present: it is no list of sessions', [[inboundOp.present, 1, []]]],
    ['open: it tells nothing of the session', changed(open(1, infoOf('ann')), 2, [])],
    ['open: it names no legal tenant', info({ tenant: '../t1' })],
    ['open: tenant t2 is not in slot', info({ tenant: 't2' })],
    ['open: the kind of the session is unknown', info({ kind: 'toString' })],
    ['open: it does not say whether', info({ additions: 1 })],
    ['open: the session id is malformed', info({ sessionId: '' })],
    ['open: the session id is malformed', info({ sessionId: 'a\nb' })],
    ['open: the session id is malformed', info({ kind: 'http' })],
    ['open: the client id is malformed', info({ clientId: 'x'.repeat(65) })],
    ['open: the user id is malformed', info({ userId: '' })],
    ['open: the user id is malformed', info({ userId: 7 })],
    ['open: the claims are malformed', info({ claims: [] })],
    ['call has 8 fields', [call(1, 1).slice(0, 8)]],
    ['call: it has no number', changed(call(1, 1), 2, -1)],
    ['call: it names no legal actor', changed(call(1, 1), 3, 'a b')],
    ['call: actorId must', changed(call(1, 1), 4, 'line\nbreak')],
    ['call: it names no legal method', changed(call(1, 1), 5, '"')],
    ['call: key must be a string', changed(call(1, 1), 6, null)],
    ['call: key must have at most', changed(call(1, 1), 6, 'k'.repeat(257))],
    ['call: ack is malformed', changed(call(1, 1), 7, -2)],
    ['call: with ack, key must be', changed(call(1, 1), 7, 3)],
    ['call: deadlineMs is malformed', changed(call(1, 1), 8, -1)],
    ...['no bar', '', '|', '01-x|r', `|${'r'.repeat(322)}`, '|a\nb', '|\ud800', 7].map((trace): [string, unknown] => [
      'call: the trace is malformed',
      changed(call(1, 1), 10, trace),
    ]),
    ['call: noInput is malformed', [[...changed(call(1, 1), 10, '|r')[0]!, false]]],
    ['read: it has no number', changed(read(1, 1), 2, '1')],
    ['read: it names no legal actor', changed(read(1, 1), 3, 'constructor ')],
    ['subscribe: a position has', [[...subscribe(1), 'epoch']]],
    ['subscribe: the epoch is malformed', [[...subscribe(1), 'e'.repeat(65), 1]]],
    ['subscribe: the number of the position', [[...subscribe(1), 'epoch', -1]]],
    ['subscribe: the stream is unknown', changed(subscribe(1), 4, 'all')],
    ['JSON must nest at most 66 levels', [changed(call(1, 1), 9, JSON.parse('['.repeat(80) + ']'.repeat(80)))[0]]],
    ['must not hold a key "__proto__"', '[[0,1,{"__proto__":{}}]]'],
  ])('is refused: %s', (reason, content) => {
    expect(reasonOf(content)).toContain(reason);
  });

  it('says nothing of what is beside it, and tells which call it is', () => {
    const deep = (levels: number) => JSON.parse('['.repeat(levels) + ']'.repeat(levels)) as unknown;
    const proto = JSON.parse('{"__proto__":1}') as Record<string, unknown>;
    const frame = [call(1, 7), call(1, 8, 'echo', { input: deep(80) }), read(1, 9), [2, 1, 'x'], read(0, 10)];
    expect(envelopesOf([...frame, open(2, infoOf('ann', { claims: proto })), end(1)])).toEqual([
      call(1, 7),
      { reason: 'envelope 2 of 7: JSON must nest at most 66 levels', call: 8 },
      read(1, 9),
      { reason: 'envelope 4 of 7: call has 3 fields', call: undefined },
      { reason: 'envelope 5 of 7: read names no session', call: 10 },
      { reason: 'envelope 6 of 7: JSON must not hold a key "__proto__"', call: undefined },
      end(1),
    ]);
    expect(check('['.repeat(100_000))).toMatchObject({ kind: 'illegal' });
    const deepest = JSON.stringify(end(1)).replace('1', '['.repeat(100_000) + ']'.repeat(100_000));
    expect(reasonOf(`[${deepest},[1,1]]`)).toMatch(/^envelope 1 of 2: [^,]*,legal$/);
  });

  it('is not one of presence when it asks for something', () => {
    expect(reasonOf([read(1, 1)], 'presence')).toBe('envelope 1 of 1: read is no presence');
  });
});

describe('whatever comes', () => {
  const field = fc.oneof(
    { maxDepth: 3 },
    fc.integer({ min: -2, max: 12 }),
    fc.constantFrom('counter', 'c1', 'echo', '', 'state', 'client-a1:7', '|r', true, null),
    fc.constant(infoOf('ann')),
    fc.record({ tenant: fc.constantFrom('t1', 't2'), sessionId: fc.string(), kind: fc.constantFrom('ws', 'http') }),
    fc.array(fc.integer({ min: 0, max: 9 })),
    fc.jsonValue(),
  );
  const frames = fc.oneof(
    fc.string(),
    fc.json(),
    fc.array(fc.array(field, { maxLength: 13 }), { maxLength: 5 }).map((frame) => JSON.stringify(frame)),
    fc
      .tuple(fc.constantFrom<Inbound>(call(1, 1), open(1, infoOf('ann')), subscribe(1), read(1, 2)), fc.nat(11), field)
      .map(([envelope, at, value]) => JSON.stringify([Object.assign([...envelope], { [at]: value })])),
  );

  it('the check never throws, and what it lets through is what it says', () => {
    fc.assert(
      fc.property(frames, fc.constantFrom('calls' as const, 'presence' as const), (text, kind) => {
        const checked = check(text, kind);
        if (checked.kind === 'illegal') {
          expect(checked.reason).not.toBe('');
          return;
        }
        const legal = checked.envelopes.filter(isLegal);
        expect(check(legal, kind)).toEqual({ kind: 'envelopes', envelopes: legal });
        for (const envelope of checked.envelopes) if (!isLegal(envelope)) expect(envelope.reason).not.toBe('');
      }),
      { numRuns: 2000 },
    );
  });

  it('the bridge settles each frame once and owes nothing in the end', async () => {
    const rig = await startBridge();
    fc.assert(
      fc.property(fc.array(frames, { maxLength: 4 }), fc.boolean(), fc.boolean(), (texts, doubtful, late) => {
        for (const [at, text] of texts.entries()) {
          rig.nats.deliver(at % 2 === 0 ? a : b, slot, text, { doubtful, late });
        }
      }),
      { numRuns: 300 },
    );
    await rig.bridge.settled();
    rig.nats.gone(a);
    rig.nats.gone(b);
    expect(rig.bridge.counts()).toMatchObject({ sessions: 0, calls: 0, frames: 0, peers: 0, topics: 0, tenants: 0 });
    await rig.bridge.releaseSlot(slot);
  });
});

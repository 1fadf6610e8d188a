import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyProblem } from '../../src/protocol/address.ts';
import type { JournalEntry, StoredOutcome, Trail } from '../../src/storage/contract.ts';
import {
  callName,
  callNameOfKey,
  decodeEntries,
  decodeEntry,
  encodeCall,
  encodeEntries,
  encodeEntry,
} from '../../src/storage/entry.ts';
import { checkRow, packRow } from '../../src/storage/journal-row.ts';
import { address, callEntry, ok, okCall, patchEntry, stateEntry, trailEntry } from './fixtures.ts';

// Ids and keys as the gateway lets them in: well-formed Unicode without control characters.
const freeText = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => keyProblem(text) === undefined);
const jsonText = fc.jsonValue().map((value) => JSON.stringify(value));

const outcome: fc.Arbitrary<StoredOutcome> = fc.oneof(
  fc.record({ kind: fc.constant('ok' as const), result: fc.oneof(fc.constant(''), jsonText) }),
  fc.record({
    kind: fc.constant('error' as const),
    error: fc.record({
      code: fc.constant('HANDLER'),
      message: fc.string(),
      outcome: fc.constant('failed' as const),
      retryable: fc.boolean(),
    }),
  }),
);

const items = fc.array(fc.record({ seq: fc.nat(), text: jsonText }), { maxLength: 3 });
const claims = fc.dictionary(freeText, fc.jsonValue()).map((value) => JSON.parse(JSON.stringify(value)) as object);
const trails: fc.Arbitrary<Trail> = fc.record({
  numbered: fc.array(
    fc.record({
      client: fc.constantFrom('client-one', 'client_TWO'),
      ack: fc.nat(),
      calls: fc.array(fc.record({ n: fc.nat(), outcome, atMs: fc.nat() }), { maxLength: 3 }),
    }),
    { maxLength: 2 },
  ),
  visits: fc.array(
    fc.oneof(
      fc.record({
        kind: fc.constant('in' as const),
        n: fc.nat(),
        visitor: fc.record({
          clientId: freeText,
          sessionId: freeText,
          userId: fc.option(freeText),
          claims: claims as fc.Arbitrary<Record<string, unknown>>,
        }),
      }),
      fc.record({ kind: fc.constant('out' as const), n: fc.nat(), clientId: freeText }),
    ),
    { maxLength: 3 },
  ),
  patches: fc.oneof(fc.constant('own' as const), items),
  events: items,
  eventsMax: fc.nat(),
});

const entries: fc.Arbitrary<JournalEntry> = fc.record({
  address: fc.record({
    tenant: fc.constantFrom('acme', 'b-2'),
    type: fc.constantFrom('counter', 'chat_Room'),
    id: freeText,
  }),
  seq: fc.nat(),
  version: fc.integer({ min: 1, max: 9 }),
  change: fc.oneof(
    fc.constant({ kind: 'none' } as const),
    fc.record({ kind: fc.constantFrom('state' as const, 'patches' as const), text: jsonText }),
  ),
  call: fc.option(
    fc.record({
      key: freeText,
      args: fc.base64String(),
      outcome,
      atMs: fc.nat(),
    }),
    { nil: undefined },
  ),
  trail: fc.option(trails, { nil: undefined }),
});

describe('journal entries', () => {
  it('come back as they were written, whatever text they carry', () => {
    fc.assert(
      fc.property(fc.array(entries, { minLength: 1, maxLength: 8 }), (written) => {
        const read = decodeEntries(encodeEntries(written));
        expect(read).toEqual(written.map((entry) => ({ kind: 'entry', entry })));
      }),
    );
  });

  it('of the first format, which have no trail, are read as they always were', () => {
    // As a former version wrote it, byte by byte.
    const text = 'fea1c0de\t["acme","counter","c1",7,1,"patches"]\t[{"op":"replace","path":"/n","value":7}]\t';
    const call = '["k","hash","ok","7",1700000000000]';
    const sealed = (body: string) => `${crc32(body).toString(16).padStart(8, '0')}\t${body}`;
    for (const field of ['', call]) {
      const former = sealed(text.slice(9) + field);
      const read = decodeEntry(former);
      expect(read).toMatchObject({
        kind: 'entry',
        entry: { seq: 7, call: field === '' ? undefined : { key: 'k', outcome: { result: '7' } }, trail: undefined },
      });
      // And written so still: whoever keeps no trail pays for none.
      expect(read.kind === 'entry' && encodeEntry(read.entry)).toBe(former);
    }
  });

  it('carry numbered calls in few words', () => {
    const calls = [{ n: 8, outcome: ok({ total: 7 }), atMs: 17 }];
    const entry = trailEntry(address('c1'), 3, { numbered: [{ client: 'abcdefgh', ack: 7, calls }] });
    expect(encodeEntry(entry).slice(9)).toBe(
      '["acme","counter","c1",3,1,"none"]\t\t\t[[["abcdefgh",7,[8,"ok","{\\"total\\":7}",17]]]]',
    );
  });

  it('are noticed when any character changes', () => {
    const text = encodeEntry(
      patchEntry(address('räume/Ω'), 7, [{ op: 'replace', path: '/count', value: 7 }], okCall('k', { total: 7 })),
    );
    for (let at = 0; at < text.length; at += 1) {
      const other = text[at] === 'x' ? 'y' : 'x';
      expect(decodeEntry(text.slice(0, at) + other + text.slice(at + 1)).kind, `character ${at}`).toBe('corrupt');
    }
  });

  it('still hint at their address when only the payload is damaged', () => {
    const text = encodeEntry(stateEntry(address('c1'), 1, { count: 1 }));
    expect(decodeEntry(text.replace('"count":1', '"count":9'))).toMatchObject({
      kind: 'corrupt',
      address: address('c1'),
    });
    expect(decodeEntry('nonsense')).toMatchObject({ kind: 'corrupt', address: undefined });
  });

  it('name a call by its key and by nothing else', () => {
    // Made of what could be taken for the end of a key.
    const key = fc.string({ unit: fc.constantFrom('"', ',', '\\', 'a', '[', ']'), minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(key, key, fc.jsonValue(), (one, other, result) => {
        const name = callName(encodeCall(okCall(one, result)));
        expect(name === callNameOfKey(other)).toBe(one === other);
        expect(name).toBe(callNameOfKey(one));
      }),
      { numRuns: 3000 },
    );
  });

  it('are read by position whatever their id looks like, also under a header seen before', () => {
    for (const id of ['a",1,1,"none"]', '","', '\\', '",7,7,"state']) {
      for (const seq of [0, 7, 123_456_789]) {
        const written = stateEntry(address(id), seq, ['x', 1]);
        expect(decodeEntry(encodeEntry(written))).toEqual({ kind: 'entry', entry: written });
      }
    }
  });
});

describe('journal rows', () => {
  const written = [
    stateEntry(address('c1'), 1, { count: 1 }),
    stateEntry(address('c2', 'b-2'), 1, { count: 2 }),
    callEntry(address('c1'), 1, okCall('k', 1)),
  ];
  const packed = packRow(5, 1_700_000_000_000, written);
  const row = { journalSeq: 5, ...packed };

  it('are readable as they were packed, and under their own number only', () => {
    expect(checkRow(row)).toEqual({
      kind: 'readable',
      atMs: 1_700_000_000_000,
      body: packed.body,
      damage: [],
    });
    expect(checkRow({ ...row, journalSeq: 6 })).toEqual({ kind: 'unreadable' });
  });

  it('blame exactly the actor whose entry was changed', () => {
    const check = checkRow({ ...row, body: packed.body.replace('"count":2', '"count":3') });
    expect(check).toMatchObject({
      kind: 'readable',
      body: encodeEntries([written[0]!, written[2]!]),
      damage: [{ address: address('c2', 'b-2') }],
    });
  });

  it('blame an actor whose entry is gone without a trace', () => {
    const check = checkRow({ ...row, body: encodeEntries(written.slice(0, 2)) });
    expect(check).toMatchObject({ kind: 'readable', damage: [{ address: address('c1') }] });
  });

  it('blame everybody in them when the body is gone, and nobody when only the contents are', () => {
    expect(checkRow({ ...row, body: null })).toMatchObject({
      damage: [{ address: address('c1') }, { address: address('c2', 'b-2') }],
    });
    expect(checkRow({ ...row, toc: 'x' })).toMatchObject({ kind: 'readable', damage: [] });
  });

  it('are unreadable when contents and body are damaged', () => {
    const damaged = {
      ...row,
      toc: packed.toc.replace('c1', 'c9'),
      body: packed.body.replace('"count":1', '"count":9'),
    };
    expect(checkRow(damaged)).toEqual({ kind: 'unreadable' });
  });

  it('never yield a changed value, whichever bit flips', () => {
    const bytes = Buffer.from(packed.body);
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const check = checkRow({ ...row, body: flipped.toString() });
      if (check.kind === 'unreadable') throw new Error('the contents were sound');
      expect(check.damage.length, `bit ${bit}`).toBeGreaterThan(0);
      for (const text of check.body.split('\n').filter(Boolean)) expect(packed.body.split('\n')).toContain(text);
    }
  });
});

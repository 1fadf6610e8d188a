import { describe, expect, test } from 'vitest';
import { ActorLog, type Violation } from './oracle.ts';

function kinds(violations: readonly Violation[]): string[] {
  return violations.map(({ kind }) => kind);
}

describe('a counter', () => {
  test('may stand anywhere between what was acknowledged and what may have happened', () => {
    const log = new ActorLog('counter', 'acme', 'c');
    log.ack(log.send('', 'a'), '', 1);
    log.send('k', 'b').fate = 'unknown';
    expect(log.checkRecovered({ count: 1 })).toEqual([]);
    expect(log.checkRecovered({ count: 2 })).toEqual([]);
    expect(kinds(log.checkRecovered({ count: 0 }))).toContain('lost');
    expect(kinds(log.checkRecovered({ count: 3 }))).toEqual(['doubled']);
  });

  test('is held to the exact number once every call has its end', () => {
    const log = new ActorLog('counter', 'acme', 'c');
    const call = log.send('k', 'a');
    call.fate = 'unknown';
    log.ack(call, '', 1);
    expect(log.settle({ count: 1 })).toEqual([]);
    expect(kinds(log.settle({ count: 2 }))).toEqual(['doubled']);
  });

  test('owes nothing to a call that was rejected', () => {
    const log = new ActorLog('counter', 'acme', 'c');
    log.send('', 'a').fate = 'rejected';
    expect(log.checkRecovered({ count: 0 })).toEqual([]);
    expect(kinds(log.checkRecovered({ count: 1 }))).toEqual(['doubled']);
  });

  test('that told two calls the same number has lost one of them', () => {
    const log = new ActorLog('counter', 'acme', 'c');
    log.ack(log.send('', 'a'), '', 1);
    expect(kinds(log.ack(log.send('', 'b'), '', 1))).toEqual(['lost']);
  });

  test('that told a repeat the same number is right', () => {
    const log = new ActorLog('counter', 'acme', 'c');
    const call = log.send('k', 'a');
    log.ack(call, '', 1);
    expect(log.ack(call, '', 1)).toEqual([]);
  });

  test('that says less than it said before has lost calls', () => {
    const log = new ActorLog('counter', 'acme', 'c');
    log.ack(log.send('', 'a'), '', 7);
    expect(kinds(log.checkRecovered({ count: 1 }))).toEqual(['lost']);
  });
});

describe('a list', () => {
  test('shows a lost call and a doubled one although they cancel out', () => {
    const log = new ActorLog('list', 'acme', 'l');
    log.ack(log.send('', 'a'), '', 1);
    log.ack(log.send('', 'b'), '', 2);
    expect(kinds(log.checkRecovered({ entries: ['a', 'a'] }))).toEqual(['doubled', 'lost']);
  });

  test('is asked for the entries of settled rounds too', () => {
    const log = new ActorLog('list', 'acme', 'l');
    log.ack(log.send('', 'a'), '', 1);
    expect(log.settle({ entries: ['a'] })).toEqual([]);
    log.ack(log.send('', 'b'), '', 2);
    expect(kinds(log.checkRecovered({ entries: ['b', 'c'] }))).toEqual(['lost']);
  });
});

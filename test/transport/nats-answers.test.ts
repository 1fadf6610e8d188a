import { describe, expect, it } from 'vitest';
import { NatsAnswers } from '../../src/transport/nats-answers.ts';
import { pieces } from '../../src/transport/nats-wire.ts';

const runtime = 'runtime0001';

function answers() {
  const heard: string[] = [];
  const state = { link: 1, up: true };
  const of = new NatsAnswers({
    answer: (slot, records) => heard.push(`${slot}: ${records}`),
    lost: (slot) => heard.push(`lost ${slot}`),
    turnover: (slot, epoch, to) => {
      if (state.up) heard.push(`turnover ${slot} e${epoch} ${to}`);
      return state.up;
    },
    linkOf: () => state.link,
  });
  const answer = (epoch: number, seq: number, records = `${seq}`, piece: number = pieces.whole): void =>
    of.receive({ kind: 'answer', slot: 3, epoch, seq, piece, records });
  const hello = (epoch: number, from = runtime): void =>
    of.receive({ kind: 'hello', runtime: from, slots: [{ slot: 3, epoch }] });
  const sync = (epoch: number, seq: number): void =>
    of.receive({ kind: 'sync', runtime, slots: [{ slot: 3, epoch, seq }] });
  const take = (): string[] => heard.splice(0);
  return { of, state, answer, hello, sync, take };
}

describe('answers of runtimes', () => {
  it('count from the hello of their owner, and repeats do not', () => {
    const { answer, hello, sync, take } = answers();
    hello(4);
    answer(4, 1);
    answer(4, 2);
    answer(4, 1);
    sync(4, 2);
    expect(take()).toEqual(['turnover 3 e4 runtime0001', '3: 1', '3: 2']);
  });

  it('of a stale owner are dropped', () => {
    const { of, answer, hello, take } = answers();
    hello(4);
    hello(5, 'runtime0002');
    answer(4, 1);
    hello(4);
    answer(5, 1);
    expect(take()).toEqual(['turnover 3 e4 runtime0001', 'turnover 3 e5 runtime0002', '3: 1']);
    expect(of.stale).toBe(1);
  });

  it('that are missing are told as lost, then somebody is told who is there', () => {
    const { answer, hello, take } = answers();
    hello(4);
    answer(4, 1);
    take();
    answer(4, 3);
    expect(take()).toEqual(['lost 3', 'turnover 3 e4 runtime0001']);
    answer(4, 4);
    expect(take()).toEqual(['3: 4']);
  });

  it('that a sync shows to be missing are told as lost', () => {
    const { answer, hello, sync, take } = answers();
    hello(4);
    take();
    sync(4, 2);
    expect(take()).toEqual(['lost 3', 'turnover 3 e4 runtime0001']);
    answer(4, 3);
    sync(4, 3);
    expect(take()).toEqual(['3: 3']);
  });

  it('in pieces are joined, and thrown away when a piece is missing', () => {
    const { answer, hello, take } = answers();
    hello(4);
    take();
    answer(4, 1, 'a', pieces.first);
    answer(4, 2, 'b', pieces.middle);
    answer(4, 3, 'c', pieces.last);
    expect(take()).toEqual(['3: abc']);
    answer(4, 4, 'a', pieces.first);
    answer(4, 6, 'c', pieces.last);
    answer(4, 7, 'd', pieces.last);
    answer(4, 8, 'e');
    expect(take()).toEqual(['lost 3', 'turnover 3 e4 runtime0001', '3: e']);
  });

  it('of an owner that never said hello end what waits, until it does', () => {
    const { answer, hello, take } = answers();
    hello(4);
    take();
    answer(5, 7);
    expect(take()).toEqual(['lost 3']);
    hello(5);
    answer(5, 8);
    expect(take()).toEqual(['turnover 3 e5 runtime0001', '3: 8']);
  });

  it('may have been missed while the connection was away: a new owner then ends what waits', () => {
    const { of, hello, sync, take } = answers();
    hello(4);
    of.interrupted();
    hello(5);
    expect(take()).toEqual(['turnover 3 e4 runtime0001', 'lost 3', 'turnover 3 e5 runtime0001']);
    of.interrupted();
    sync(5, 0);
    hello(6);
    expect(take()).toEqual(['turnover 3 e6 runtime0001']);
  });

  it('are told as lost when the runtime misses frames of this very link', () => {
    const { of, state, hello, take } = answers();
    hello(4);
    take();
    of.receive({ kind: 'lost', slot: 3, epoch: 4, link: 1 });
    expect(take()).toEqual(['lost 3', 'turnover 3 e4 runtime0001']);
    state.link = 2;
    of.receive({ kind: 'lost', slot: 3, epoch: 4, link: 1 });
    expect(take()).toEqual([]);
  });

  it('owe a turnover until it could be said', () => {
    const { of, state, hello, sync, take } = answers();
    hello(4);
    take();
    state.up = false;
    of.lost(3, 'too much waits');
    expect(take()).toEqual(['lost 3']);
    state.up = true;
    sync(4, 0);
    sync(4, 0);
    expect(take()).toEqual(['turnover 3 e4 runtime0001']);
  });
});

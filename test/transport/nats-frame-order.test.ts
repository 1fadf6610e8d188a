import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gapMs, unpresentedMs } from '../../src/transport/nats-bounds.ts';
import { FrameOrder } from '../../src/transport/nats-frame-order.ts';

interface Frame {
  readonly link: number;
  readonly seq: number;
  readonly inherited: boolean;
}

const fresh = { inherited: false };

function ordered() {
  const heard: string[] = [];
  const clock = { ms: 0 };
  const named = ({ link, seq }: Frame): string => (link === 1 ? `${seq}` : `${link}.${seq}`);
  const order = new FrameOrder<Frame>(
    {
      ready: (frame) => heard.push(named(frame)),
      late: (frame) => heard.push(`late ${named(frame)}`),
      dropped: (frame) => heard.push(`dropped ${named(frame)}`),
      again: (frame) => heard.push(`again ${named(frame)}`),
      broken: (link) => heard.push(`broken ${link}`),
    },
    () => clock.ms,
  );
  const arrive = (...seqs: number[]): void => {
    for (const seq of seqs) order.arrive({ link: 1, seq, ...fresh });
  };
  const take = (): string[] => heard.splice(0);
  return { order, clock, arrive, take };
}

describe('the order of frames', () => {
  it('is that of their numbers, from the first one that is seen', () => {
    const { order, arrive, take } = ordered();
    order.present(1);
    arrive(5, 7, 8, 6, 9);
    expect(take()).toEqual(['5', '6', '7', '8', '9']);
  });

  it('is kept for any arrival, and nothing is handed on twice', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 2, max: 20 }), { minLength: 1, maxLength: 60 }), (seqs) => {
        const { order, arrive, take } = ordered();
        order.present(1);
        arrive(1, ...seqs);
        const ready = take().filter((word) => /^\d+$/.test(word));
        expect(ready).toEqual(ready.map((_, at) => String(at + 1)));
      }),
    );
  });

  it('waits for the presence of the gateway, and for that alone', () => {
    const { order, arrive, take } = ordered();
    arrive(3, 2);
    expect(take()).toEqual([]);
    expect(order.held).toBe(2);
    order.present(1);
    expect(take()).toEqual(['2', '3']);
    expect(order.held).toBe(0);
  });

  it('gives up waiting for a presence: all of the link is late at once, until the next one', () => {
    const { order, clock, arrive, take } = ordered();
    arrive(1);
    clock.ms += unpresentedMs - 1;
    order.tick();
    arrive(2);
    expect(take()).toEqual([]);
    clock.ms += 1;
    order.tick();
    expect(take()).toEqual(['broken 1', 'late 1', 'late 2']);
    arrive(3);
    expect(take()).toEqual(['late 3']);
    order.present(1);
    arrive(4);
    order.tick();
    // What the late ones opened may not be in its presence.
    expect(take()).toEqual(['late 4', 'broken 1']);
    order.present(2);
    order.arrive({ link: 2, seq: 1, ...fresh });
    order.tick();
    expect(take()).toEqual(['2.1']);
  });

  it('tells copies of what is in hand from copies of what is done', () => {
    const { order, arrive, take } = ordered();
    const first = { link: 1, seq: 1, ...fresh };
    order.present(1);
    order.arrive(first);
    arrive(3, 1, 3);
    expect(take()).toEqual(['1', 'again 1', 'again 3']);
    order.finished(first);
    arrive(1);
    expect(take()).toEqual(['dropped 1']);
  });

  it('does not wait for what a former owner has done, up to the first one that it never had', () => {
    const { order, clock, take } = ordered();
    order.present(1);
    const former = { inherited: true };
    for (const seq of [3, 5, 6]) order.arrive({ link: 1, seq, ...former });
    for (const seq of [9, 10, 12]) order.arrive({ link: 1, seq, ...fresh });
    // 4, 7 and 8 were done; 11 is missing.
    expect(take()).toEqual(['3', '5', '6', '9', '10']);
    expect(order.held).toBe(1);
    clock.ms += gapMs;
    order.tick();
    expect(take()).toEqual(['broken 1', 'late 12']);
  });

  it('breaks a link when one comes that a former owner seemed to have done', () => {
    const { order, arrive, take } = ordered();
    order.present(1);
    for (const seq of [3, 5]) order.arrive({ link: 1, seq, inherited: true });
    arrive(6, 8);
    expect(take()).toEqual(['3', '5', '6']);
    // It had been refused by the stream, alone: nobody has run it, and its turn is over.
    arrive(4, 7);
    expect(take()).toEqual(['broken 1', 'late 8', 'late 4', 'late 7']);
  });

  it('breaks a link when one comes below the first one: what it opens and subscribes to is missing', () => {
    const { order, arrive, take } = ordered();
    order.present(1);
    arrive(4, 3, 5);
    expect(take()).toEqual(['4', 'broken 1', 'late 3', 'late 5']);
    order.tick();
    expect(take()).toEqual(['broken 1']);
  });

  it('breaks a link of which one cannot be applied, and hands each of the others on once', () => {
    const heard: string[] = [];
    const order: FrameOrder<Frame> = new FrameOrder<Frame>(
      {
        ready: (frame) => {
          heard.push(`${frame.seq}`);
          if (frame.seq === 2) order.giveUp(frame.link);
        },
        late: (frame) => heard.push(`late ${frame.seq}`),
        dropped: (frame) => heard.push(`dropped ${frame.seq}`),
        again: (frame) => heard.push(`again ${frame.seq}`),
        broken: () => heard.push('broken'),
      },
      () => 0,
    );
    for (const seq of [1, 2, 3, 4]) order.arrive({ link: 1, seq, ...fresh });
    order.present(1);
    expect(heard.splice(0)).toEqual(['1', '2', 'broken', 'late 3', 'late 4']);
    order.giveUp(1);
    order.present(2);
    order.giveUp(1);
    expect(heard).toEqual([]);
  });

  it('knows that a link begins with one when it followed another, and waits for that one', () => {
    const { order, take } = ordered();
    order.present(1);
    order.present(2);
    order.arrive({ link: 2, seq: 2, ...fresh });
    expect(take()).toEqual([]);
    order.arrive({ link: 2, seq: 1, ...fresh });
    expect(take()).toEqual(['2.1', '2.2']);
  });

  it('gives up a link in which one is missing, says so until the next one begins, and runs nothing of it any more', () => {
    const { order, clock, arrive, take } = ordered();
    order.present(1);
    arrive(1, 3, 4);
    clock.ms += gapMs - 1;
    order.tick();
    expect(take()).toEqual(['1']);
    clock.ms += 1;
    order.tick();
    expect(take()).toEqual(['broken 1', 'late 3', 'late 4']);
    arrive(2, 5);
    order.tick();
    expect(take()).toEqual(['late 2', 'late 5', 'broken 1']);
    expect(order.awaitsPresence).toBe(false);
    order.arrive({ link: 2, seq: 1, ...fresh });
    expect(take()).toEqual([]);
    expect(order.awaitsPresence).toBe(true);
    order.present(2);
    expect(order.awaitsPresence).toBe(false);
    order.tick();
    expect(take()).toEqual(['2.1']);
  });

  it('waits anew when the missing one came and another one is missing', () => {
    const { order, clock, arrive, take } = ordered();
    order.present(1);
    arrive(1, 3, 5);
    clock.ms += gapMs - 1;
    arrive(2);
    clock.ms += 1;
    order.tick();
    expect(take()).toEqual(['1', '2', '3']);
    arrive(4);
    expect(take()).toEqual(['4', '5']);
  });

  it('begins anew with the next link, and drops what waited in the one before', () => {
    const { order, arrive, take } = ordered();
    order.present(1);
    arrive(1, 3);
    order.present(2);
    expect(take()).toEqual(['1', 'dropped 3']);
    arrive(2);
    order.arrive({ link: 2, seq: 1, ...fresh });
    expect(take()).toEqual(['dropped 2', '2.1']);
  });

  it('lets nothing run twice when a gateway goes and comes back', () => {
    const { order, arrive, take } = ordered();
    order.present(1);
    const first = { link: 1, seq: 1, ...fresh };
    order.arrive(first);
    order.finished(first);
    order.leave();
    arrive(1, 2);
    expect(take()).toEqual(['1']);
    order.present(1);
    expect(take()).toEqual(['dropped 1', '2']);
  });

  it('leaves what was not handed on to the next owner', () => {
    const { order, arrive, take } = ordered();
    order.present(1);
    arrive(1, 3);
    order.arrive({ link: 2, seq: 1, ...fresh });
    expect(order.forgetHeld()).toEqual([
      { link: 1, seq: 3, ...fresh },
      { link: 2, seq: 1, ...fresh },
    ]);
    expect([...order.open]).toEqual([{ link: 1, seq: 1, ...fresh }]);
    expect(take()).toEqual(['1']);
  });
});

// @vitest-environment jsdom
import { act, Component, createElement, type ReactNode, startTransition, StrictMode, Suspense, useState } from 'react';
import { beforeEach, describe, expect, test } from 'vitest';
import { hooks, expectingErrors, passMs, Screen, useScreens } from './react-screen.ts';
import { Wire } from './react-wire.ts';

const { useActor, useActorError, useActorState, useActorStateSuspense } = hooks;

useScreens();

let wire: Wire;
let screen: Screen;
let boundary: Boundary | null;

beforeEach(async () => {
  wire = await new Wire().connect();
  screen = new Screen(wire);
  boundary = null;
});

interface BoundaryProps {
  readonly children?: ReactNode;
  /** Resets it when this changes. */
  readonly resetKey?: unknown;
}

class Boundary extends Component<BoundaryProps, { readonly failed: string | undefined }> {
  override state: { readonly failed: string | undefined } = { failed: undefined };
  static getDerivedStateFromError(error: { code?: string }) {
    return { failed: error.code };
  }
  override componentDidUpdate(prior: BoundaryProps, before: { failed: string | undefined }) {
    if (before.failed !== undefined && prior.resetKey !== this.props.resetKey) this.reset();
  }
  reset() {
    this.setState({ failed: undefined });
  }
  override render() {
    return this.state.failed ?? this.props.children;
  }
}

const Count = ({ id = 'c1' }: { readonly id?: string }) =>
  `count ${useActorStateSuspense(useActor('counter', id)).count}`;
const waiting = (child: ReactNode = createElement(Count)) => createElement(Suspense, { fallback: 'waiting' }, child);
const guarded = ({ resetKey }: BoundaryProps = {}) =>
  createElement(Boundary, { resetKey, ref: (shown) => void (boundary = shown) }, waiting());

/** The server's no, and the moment for which it is thrown. */
async function refuse(code = 'FORBIDDEN'): Promise<void> {
  await expectingErrors(() => wire.refuse('c1', code));
  await passMs(1000);
}

async function retry(): Promise<void> {
  await act(async () => boundary?.reset());
}

describe('a component that cannot do without a state', () => {
  test.each(['FORBIDDEN', 'UNKNOWN_ACTOR', 'MALFORMED'])(
    'throws the refusal %s to the error boundary, and leaves nothing behind',
    async (code) => {
      await screen.show(createElement(StrictMode, null, guarded()));
      expect(screen.text).toBe('waiting');
      await refuse(code);
      expect(screen.text).toBe(code);
      expect(wire.reports).toEqual([]);
      await passMs(600_000);
      expect(wire.takeSubscriptions()).toEqual(['state:sub c1', 'state:unsub c1']);
      expect(screen.text).toBe(code);
    },
  );

  test('asks again when the boundary is reset, and shows what comes', async () => {
    await screen.show(createElement(StrictMode, null, guarded()));
    await refuse();
    wire.take();
    await retry();
    expect(screen.text).toBe('waiting');
    expect(wire.takeSubscriptions()).toEqual(['state:sub c1']);
    await wire.counts('c1', 1);
    expect(screen.text).toBe('count 1');
    await wire.counts('c1', 2);
    expect(screen.text).toBe('count 2');
    await passMs(60_000);
    expect(wire.takeSubscriptions()).toEqual([]);
  });

  test('asks again after any time, also for another refusal', async () => {
    await screen.show(guarded());
    await refuse();
    for (const code of ['UNAUTHORIZED', 'FORBIDDEN', 'UNKNOWN_ACTOR']) {
      await passMs(60_000);
      await retry();
      expect(screen.text).toBe('waiting');
      await refuse(code);
      expect(screen.text).toBe(code);
    }
  });

  test('asks again while other components of the same actor stay', async () => {
    const Beside = () => {
      const counter = useActor('counter', 'c1');
      return `${useActorError(counter)?.code ?? 'no error'}, ${useActorState(counter)?.count ?? 'nothing'}: `;
    };
    await screen.show([createElement(Beside, { key: 'beside' }), createElement('p', { key: 'p' }, guarded())]);
    await refuse();
    expect(screen.text).toBe('FORBIDDEN, nothing: FORBIDDEN');
    wire.take();
    await retry();
    expect(screen.text).toBe('no error, nothing: waiting');
    expect(wire.takeSubscriptions()).toEqual(['state:sub c1']);
    await wire.counts('c1', 1);
    expect(screen.text).toBe('no error, 1: count 1');
  });

  test('throws each further refusal for longer, so that a boundary which resets by itself comes to rest', async () => {
    await screen.show(guarded());
    await refuse();
    let questions = 0;
    for (let rounds = 0; rounds < 300; rounds += 1) {
      await expectingErrors(retry);
      if (screen.text === 'waiting') {
        questions += 1;
        await expectingErrors(() => wire.refuse('c1', 'FORBIDDEN'));
      }
      expect(screen.text).toBe('FORBIDDEN');
      await passMs(10);
    }
    // In 3 s: at once, then after 200, 400, 800 and 1000 ms.
    expect(questions).toBe(5);
  });

  test('starts over with short moments once there was a state', async () => {
    await screen.show(guarded());
    for (let times = 0; times < 5; times += 1) {
      await refuse();
      await passMs(2000);
      await retry();
    }
    await wire.counts('c1', 1);
    expect(screen.text).toBe('count 1');
    await screen.show(null);
    await passMs(60_000);
    await screen.show(guarded());
    await refuse();
    await retry();
    expect(screen.text).toBe('waiting');
  });

  test('asks for itself when another component was refused long ago', async () => {
    const Loose = () => String(useActorState(useActor('counter', 'c1'))?.count);
    await screen.show(createElement(Loose));
    await wire.refuse('c1', 'FORBIDDEN');
    expect(wire.reports).toMatchObject([{ code: 'FORBIDDEN' }]);
    wire.take();
    await screen.show([createElement(Loose, { key: 1 }), createElement('p', { key: 2 }, guarded())]);
    expect(screen.text).toBe('undefinedwaiting');
    expect(wire.takeSubscriptions()).toContain('state:sub c1');
    await wire.counts('c1', 4);
    expect(screen.text).toBe('4count 4');
  });

  test('leaves nothing behind when it is refused after it was thrown away', async () => {
    await screen.show(guarded());
    await screen.show(null);
    await wire.refuse('c1', 'FORBIDDEN');
    await passMs(60_000);
    expect(wire.takeSubscriptions()).toEqual(['state:sub c1', 'state:unsub c1']);
    // What nobody saw is not shown later.
    await screen.show(guarded());
    expect(screen.text).toBe('waiting');
    expect(wire.takeSubscriptions()).toEqual(['state:sub c1']);
  });

  test('gives way to the boundary in a transition too', async () => {
    let setId = (_id: string): void => {};
    const Chosen = () => {
      const [id, set] = useState('c2');
      setId = set;
      return createElement(Boundary, null, waiting(createElement(Count, { id })));
    };
    await screen.show(createElement(Chosen));
    await wire.counts('c2', 2);
    await act(async () => startTransition(() => setId('c1')));
    expect(screen.text).toBe('count 2');
    await refuse();
    expect(screen.text).toBe('FORBIDDEN');
  });

  test('keeps the state that it has when a later subscription is refused, which is reported', async () => {
    await screen.show(guarded());
    await wire.counts('c1', 1);
    await wire.refuse('c1', 'FORBIDDEN');
    expect(screen.text).toBe('count 1');
    expect(wire.reports).toMatchObject([{ code: 'FORBIDDEN' }]);
  });

  test.each(['RATE_LIMITED', 'DRAINING', 'OVERLOADED'])('waits on when the server says %s', async (code) => {
    await screen.show(guarded());
    for (let times = 0; times < 3; times += 1) {
      wire.take();
      await wire.refuse('c1', code, true);
      expect(screen.text).toBe('waiting');
      await wire.pass(2000);
      expect(wire.takeSubscriptions()).toEqual(['state:sub c1']);
    }
    await wire.counts('c1', 1);
    expect(screen.text).toBe('count 1');
    expect(wire.reports).toEqual([]);
  });
});

describe('the error of an actor', () => {
  const Shown = () => {
    const counter = useActor('counter', 'c1');
    const count = useActorState(counter, (state) => state.count);
    return `${useActorError(counter)?.code ?? 'no error'}, ${count ?? 'nothing'}`;
  };

  test('is shown beside the state, and reported to nobody else', async () => {
    await screen.show(createElement(StrictMode, null, createElement(Shown)));
    expect(screen.text).toBe('no error, nothing');
    await wire.refuse('c1', 'FORBIDDEN');
    expect(screen.text).toBe('FORBIDDEN, nothing');
    await wire.counts('c1', 1);
    expect(screen.text).toBe('no error, 1');
    await wire.refuse('c1', 'UNKNOWN_ACTOR');
    expect(screen.text).toBe('UNKNOWN_ACTOR, 1');
    expect(wire.takeSubscriptions()).toEqual(['state:sub c1']);
    expect(wire.reports).toEqual([]);
  });

  test('is not there while the server only puts it off', async () => {
    await screen.show(createElement(Shown));
    await wire.refuse('c1', 'OVERLOADED', true);
    expect(screen.text).toBe('no error, nothing');
    await wire.pass(2000);
    await wire.counts('c1', 1);
    expect(screen.text).toBe('no error, 1');
  });

  test('ends with the last component: who comes back asks again', async () => {
    await screen.show(createElement(Shown));
    await wire.refuse('c1', 'FORBIDDEN');
    await screen.show(null);
    expect(wire.takeSubscriptions()).toEqual(['state:sub c1', 'state:unsub c1']);
    await screen.show(createElement(Shown));
    expect(screen.text).toBe('no error, nothing');
    expect(wire.takeSubscriptions()).toEqual(['state:sub c1']);
    await screen.show(null);
    await passMs(60_000);
    expect(wire.takeSubscriptions()).toEqual(['state:unsub c1']);
  });

  test('is reported to nobody when it comes just after the component went', async () => {
    await screen.show(createElement(Shown));
    await screen.show(null);
    await wire.refuse('c1', 'FORBIDDEN');
    expect(wire.reports).toEqual([]);
    await passMs(60_000);
    expect(wire.takeSubscriptions()).toEqual(['state:sub c1', 'state:unsub c1']);
  });

  test('belongs to the actor that is shown now', async () => {
    const Code = ({ id }: { readonly id: string }) => useActorError(useActor('counter', id))?.code ?? 'no error';
    await screen.show(createElement(Code, { id: 'c1' }));
    await wire.refuse('c1', 'FORBIDDEN');
    await screen.show(createElement(Code, { id: 'c2' }));
    expect(screen.text).toBe('no error');
    await wire.refuse('c2', 'UNKNOWN_ACTOR');
    expect(screen.text).toBe('UNKNOWN_ACTOR');
  });

  test('resets a boundary when the server accepts after a new token', async () => {
    const Page = () => {
      const error = useActorError(useActor('counter', 'c1'));
      return guarded({ resetKey: error });
    };
    await screen.show(createElement(StrictMode, null, createElement(Page)));
    await refuse();
    expect(screen.text).toBe('FORBIDDEN');
    wire.take();
    await wire.tell({ type: 'auth:ok' });
    expect(screen.text).toBe('waiting');
    expect(wire.takeSubscriptions()).toEqual(['state:sub c1']);
    await wire.counts('c1', 1);
    expect(screen.text).toBe('count 1');
    expect(wire.reports).toEqual([]);
  });
});

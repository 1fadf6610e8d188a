/** Steps start downwards and stop upwards; what each stop took is known at the end. */
import pino from 'pino';
import { expect, test } from 'vitest';
import { Lifecycle, type Step } from '../../src/host/lifecycle.ts';

interface Line {
  readonly level: number;
  readonly msg: string;
  readonly step: string;
}

function newLifecycle(steps: readonly Step[]) {
  const lines: Line[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line) as Line) });
  return { lifecycle: new Lifecycle(steps, log), lines };
}

/** A step that notes its start and stop in `seen`. */
function noted(name: string, seen: string[], more: Partial<Step> = {}): Step {
  return { name, start: () => void seen.push(`+${name}`), stop: () => void seen.push(`-${name}`), ...more };
}

const levels = { debug: 20, warn: 40, error: 50 };
const never = () => new Promise<void>(() => undefined);

test('a stop is the start backwards, once, however often it is asked for', async () => {
  const seen: string[] = [];
  const { lifecycle, lines } = newLifecycle([
    noted('a', seen),
    { name: 'b', start: () => void seen.push('+b') },
    noted('c', seen),
  ]);
  await lifecycle.start();
  await Promise.all([lifecycle.stop(), lifecycle.stop()]);
  expect(seen).toEqual(['+a', '+b', '+c', '-c', '-a']);
  expect(lifecycle.clean).toBe(true);
  expect(lifecycle.stopsMs).toEqual({ c: expect.any(Number), a: expect.any(Number) });
  expect(Object.keys(lifecycle.stopsMs)).toEqual(['c', 'a']);
  // One line of the owner's tells the whole stop; a step's own line is for whoever looks closer.
  expect([...new Set(lines.map(({ level }) => level))]).toEqual([levels.debug]);
});

test('a step that overruns its share is left behind, told, and counted with its share', async () => {
  const seen: string[] = [];
  const { lifecycle, lines } = newLifecycle([noted('a', seen), noted('stuck', seen, { stop: never, stopMs: 30 })]);
  await lifecycle.start();
  await lifecycle.stop();
  expect(seen).toEqual(['+a', '+stuck', '-a']);
  expect(lifecycle.clean).toBe(false);
  expect(lifecycle.stopsMs['stuck']).toBeGreaterThanOrEqual(29);
  expect(lines.filter(({ level }) => level === levels.warn)).toMatchObject([
    { step: 'stuck', msg: 'stop took longer than its share of the time; going on without it' },
  ]);
});

test('a step that cannot stop is told, and the others stop all the same', async () => {
  const seen: string[] = [];
  const fail = () => Promise.reject(new Error('no'));
  const { lifecycle, lines } = newLifecycle([noted('a', seen), noted('broken', seen, { stop: fail })]);
  await lifecycle.start();
  await lifecycle.stop();
  expect(seen.at(-1)).toBe('-a');
  expect(lifecycle.clean).toBe(false);
  expect(lines.filter(({ level }) => level === levels.error)).toMatchObject([{ step: 'broken' }]);
  expect(Object.keys(lifecycle.stopsMs)).toEqual(['broken', 'a']);
});

test('a start that fails stops what had begun, and throws its reason', async () => {
  const seen: string[] = [];
  const fail = () => Promise.reject(new Error('no such file'));
  const { lifecycle } = newLifecycle([noted('a', seen), noted('b', seen, { start: fail }), noted('c', seen)]);
  await expect(lifecycle.start()).rejects.toThrow('no such file');
  expect(seen).toEqual(['+a', '-b', '-a']);
});

test('a stop during the start undoes what had started and starts no more', async () => {
  const seen: string[] = [];
  const began = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const wait = async () => {
    began.resolve();
    await go.promise;
  };
  const { lifecycle } = newLifecycle([noted('a', seen), noted('slow', seen, { start: wait }), noted('c', seen)]);
  const started = lifecycle.start();
  await began.promise;
  const stopped = lifecycle.stop();
  go.resolve();
  await Promise.all([started, stopped]);
  expect(seen).toEqual(['+a', '-slow', '-a']);
  expect(lifecycle.stopping).toBe(true);
});

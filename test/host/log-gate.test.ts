import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LogGate } from '../../src/host/log-gate.ts';

interface Line {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

function rig(level: pino.Level = 'info') {
  const lines: Line[] = [];
  const log = pino({ level }, { write: (line: string) => void lines.push(JSON.parse(line) as Line) });
  return { lines, gate: new LogGate(log, () => Date.now()) };
}

function write(gate: LogGate, kind: string, times: number): void {
  for (let n = 0; n < times; n += 1) gate.write(kind, 'warn', { n }, `of ${kind}`);
}

describe('a log gate', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('writes 20 lines of a kind in 10 s, and one that says how many were left out', () => {
    const { lines, gate } = rig();
    write(gate, 'a', 1000);
    expect(lines).toHaveLength(20);
    vi.advanceTimersByTime(9999);
    expect(lines).toHaveLength(20);
    vi.advanceTimersByTime(1);
    expect(lines.slice(20)).toMatchObject([
      { level: 40, kind: 'a', leftOut: 980, msg: 'lines of this kind were left out of the log' },
    ]);
    write(gate, 'a', 1);
    expect(lines.at(-1)).toMatchObject({ n: 0, msg: 'of a' });
  });

  it('says nothing more when nothing was left out', () => {
    const { lines, gate } = rig();
    write(gate, 'a', 20);
    vi.advanceTimersByTime(60_000);
    write(gate, 'a', 20);
    vi.advanceTimersByTime(60_000);
    expect(lines.map(({ msg }) => msg)).toEqual(Array(40).fill('of a'));
  });

  it('keeps kinds apart', () => {
    const { lines, gate } = rig();
    write(gate, 'a', 100);
    write(gate, 'b', 3);
    expect(lines.filter(({ msg }) => msg === 'of b')).toHaveLength(3);
  });

  it('counts in windows that begin with their first line, whether or not a timer fired', () => {
    const { lines, gate } = rig();
    write(gate, 'a', 30);
    // The clock went on, and no timer had its turn: the thread was busy.
    vi.setSystemTime(Date.now() + 10_000);
    write(gate, 'a', 30);
    expect(lines).toHaveLength(41);
    expect(lines[20]).toMatchObject({ leftOut: 10 });
    vi.advanceTimersByTime(10_000);
    expect(lines).toHaveLength(42);
    expect(lines[41]).toMatchObject({ leftOut: 10 });
  });

  it('knows 256 kinds at most; the rest share one', () => {
    const { lines, gate } = rig();
    for (let n = 0; n < 10_000; n += 1) write(gate, `kind ${n}`, 1);
    expect(lines).toHaveLength(256 + 20);
    gate.close();
    expect(lines.at(-1)).toMatchObject({ kind: 'others', leftOut: 10_000 - 276 });
  });

  it('tells at its close what was left out, once', () => {
    const { lines, gate } = rig();
    write(gate, 'a', 25);
    gate.close();
    gate.close();
    vi.advanceTimersByTime(60_000);
    expect(lines.slice(20)).toMatchObject([{ leftOut: 5 }]);
  });

  it('does not count what the level keeps out', () => {
    const { lines, gate } = rig('error');
    write(gate, 'a', 1000);
    gate.close();
    expect(lines).toEqual([]);
  });
});

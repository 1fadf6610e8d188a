/** A long replay is told once a second, or drawn as one bar; a short one is not told at all. */
import pino from 'pino';
import { expect, test } from 'vitest';
import { RecoveryReport } from '../../src/cli/recovery-report.ts';
import { Progress } from '../../src/host/progress.ts';

function newReport(onTerminal: boolean) {
  const logged: string[] = [];
  const drawn: string[] = [];
  const log = pino({}, { write: (line: string) => void logged.push((JSON.parse(line) as { msg: string }).msg) });
  const progress = new Progress();
  const screen = onTerminal ? { write: (text: string) => drawn.push(text) } : undefined;
  return { report: new RecoveryReport(progress, log, screen), progress, logged, drawn };
}

test('a replay that is over within a second says nothing', () => {
  for (const onTerminal of [false, true]) {
    const { report, progress, logged, drawn } = newReport(onTerminal);
    progress.set(500, 1000);
    report.look(500);
    report.look(999);
    report.end();
    expect([...logged, ...drawn]).toEqual([]);
  }
});

test('without a terminal there is one line per second', () => {
  const { report, progress, logged } = newReport(false);
  progress.set(12_345, 30_000);
  report.look(1010);
  report.look(1510);
  progress.set(24_000, 30_000);
  report.look(2020);
  report.look(2520);
  report.end();
  expect(logged).toEqual([
    'journal replay: 41 %, 12,345 of 30,000 rows',
    'journal replay: 80 %, 24,000 of 30,000 rows',
  ]);
});

test('nothing to replay is no progress to speak of', () => {
  const { report, logged } = newReport(false);
  report.look(5000);
  expect(logged).toEqual([]);
});

test('on a terminal one bar is drawn again in its place, and taken away at the end', () => {
  const { report, progress, logged, drawn } = newReport(true);
  progress.set(10, 40);
  report.look(1000);
  progress.set(40, 40);
  report.look(1500);
  report.end();
  report.end();
  expect(logged).toEqual([]);
  expect(drawn).toEqual([
    `\u001b[K  replaying [${'█'.repeat(7)}${'░'.repeat(23)}] 25 %, 10 of 40 rows\r`,
    `\u001b[K  replaying [${'█'.repeat(30)}] 100 %, 40 of 40 rows\r`,
    '\u001b[K',
  ]);
});

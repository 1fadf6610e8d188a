/** How lines of nats-server become lines of ours. */
import { PassThrough } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import { NatsServerLog } from '../../src/cli/nats-server-log.ts';
import { eventually } from '../support/wait.ts';
import { type Line, recordedLog } from './nats-server-fixture.ts';

async function told(text: string, secrets: readonly string[] = []): Promise<{ lines: Line[]; complaints: string }> {
  const lines: Line[] = [];
  const log = new NatsServerLog(recordedLog(lines), secrets);
  onTestFinished(() => log.close());
  const stream = new PassThrough();
  log.read(stream);
  stream.end(`${text}\n[7] [INF] the end\n`);
  await eventually('the last line', () => lines.some(({ msg }) => msg === 'the end'));
  return { lines: lines.filter(({ msg }) => msg !== 'the end'), complaints: log.takeComplaints() };
}

test('each level is one of ours, and what has none is an error', async () => {
  const { lines, complaints } = await told(
    ['INF] a', 'DBG] b', 'WRN] c', 'ERR] d', 'FTL] e'].map((line) => `[7] [${line}`).join('\n') + '\n\npanic: f',
  );
  expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
    [20, 'a'],
    [20, 'b'],
    [40, 'c'],
    [50, 'd'],
    [50, 'e'],
    [50, 'panic: f'],
  ]);
  expect(lines.every(({ about }) => about === 'nats')).toBe(true);
  expect(complaints).toBe('d; e; panic: f');
});

test('no secret is written, as it is known or as part of an address', async () => {
  const { lines, complaints } = await told(
    '[7] [ERR] no way to nats://leaf:p%40ss@hub:7422 with p@ss-and-more or p@ss\n[7] [WRN] try tls://token@hub',
    ['p%40ss', 'p@ss', 'p@ss-and-more'],
  );
  expect(lines.map(({ msg }) => msg)).toEqual([
    'no way to nats://[hidden]@hub:7422 with [hidden] or [hidden]',
    'try tls://[hidden]@hub',
  ]);
  expect(complaints).not.toContain('p@ss');
});

test('a flood of complaints is cut, and the last ones are kept to be told', async () => {
  const { lines, complaints } = await told(Array.from({ length: 500 }, (_, n) => `[7] [ERR] error ${n}`).join('\n'));
  expect(lines).toHaveLength(20);
  expect(complaints).toBe('error 495; error 496; error 497; error 498; error 499');
});

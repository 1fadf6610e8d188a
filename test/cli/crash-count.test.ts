/** The third crash within a minute closes a call off; a release is noticed by whoever runs. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { CrashCount } from '../../src/cli/crash-count.ts';
import { createLog } from '../../src/host/log.ts';
import { readPoison } from '../../src/storage/poison-file.ts';
import { eventually } from '../support/wait.ts';
import { fermata, newFolder } from './command-fixture.ts';

const call = { fingerprint: 'ab'.repeat(16), tenant: 'acme', actor: 'a', actorId: '1', method: 'boom', key: '' };
const minuteMs = 60_000;

function started(dataDir: string) {
  const published: (readonly string[])[] = [];
  const log = createLog({ level: 'silent', pretty: false }, 'test');
  const crashes = new CrashCount(dataDir, log, (fingerprints) => published.push(fingerprints));
  crashes.start();
  onTestFinished(() => crashes.stop());
  return { crashes, published };
}

test('three crashes within a minute close a call off, also after a restart; a release opens it again', async () => {
  const dataDir = newFolder();
  const { crashes, published } = started(dataDir);
  crashes.crashed(call, 0);
  crashes.crashed(call, minuteMs - 1);
  expect(published).toEqual([[]]);
  crashes.crashed(call, minuteMs);
  expect(published.at(-1)).toEqual([call.fingerprint]);
  expect(started(dataDir).published).toEqual([[call.fingerprint]]);
  const released = await fermata(['quarantine', 'release', call.fingerprint, '--data-dir', dataDir]);
  expect(released.exitCode).toBe(0);
  await eventually('the release is noticed', () => published.at(-1)?.length === 0);
});

test('crashes that are further apart do not add up', () => {
  const { crashes, published } = started(newFolder());
  for (let n = 0; n < 6; n += 1) crashes.crashed(call, n * (minuteMs / 2 + 1));
  expect(published).toEqual([[]]);
});

test('a call is closed off although that cannot be written down', () => {
  const dataDir = newFolder();
  const { crashes, published } = started(dataDir);
  mkdirSync(dataDir, { recursive: true });
  writeFileSync(join(dataDir, 'quarantine'), 'a file where the directory belongs');
  for (let n = 0; n < 3; n += 1) crashes.crashed(call, n);
  expect(published.at(-1)).toEqual([call.fingerprint]);
  expect(() => readPoison(dataDir)).toThrow(/ENOTDIR/);
});

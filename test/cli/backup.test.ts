/** What `fermata backup` asks for, and how it tells what came of it. */
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import type { BackupRequest, BackupResult, DataOperations } from '../../src/cli/data-operations.ts';
import { withOperations } from './backup-fixture.ts';

const made: BackupResult = {
  tenant: 'acme',
  base: 'acme/base/20261121T101500123Z.db',
  target: '/mnt/copies',
  bytes: 1_258_291,
  actors: 1204,
  ms: 1530,
  longestPauseMs: 12,
};

function backing(results: readonly BackupResult[]) {
  const asked: BackupRequest[] = [];
  const backup: DataOperations['backup'] = async (request) => {
    asked.push(request);
    return results;
  };
  return { asked, backup };
}

test('what was made is a table, with where it lies', async () => {
  const { exitCode, out, err, closed } = await withOperations(
    ['backup'],
    backing([made, { ...made, tenant: 'globex' }]),
  );
  expect({ exitCode, err, closed }).toEqual({ exitCode: 0, err: '', closed: 1 });
  expect(out.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['tenant', 'base', 'size', 'actors', 'took', 'longest pause'],
    ['acme', made.base, '1.2 MiB', '1,204', '1.5 s', '12 ms'],
    ['globex', made.base, '1.2 MiB', '1,204', '1.5 s', '12 ms'],
    ['backed up and verified: 2 tenants, in /mnt/copies'],
  ]);
});

test('a tenant that failed is told beside those that did not, and the exit code says so', async () => {
  const results = [made, { tenant: 'globex', error: 'a page\u009b of it is damaged' }];
  const { exitCode, out, err } = await withOperations(['backup'], backing(results));
  expect(exitCode).toBe(1);
  expect(out).toContain('backed up and verified: 1 tenant, in /mnt/copies');
  expect(err).toBe('fermata: tenant globex was not backed up: a page\\u009b of it is damaged');
});

test('--json prints one object and nothing else', async () => {
  const results = [made, { tenant: 'globex', error: 'a page of it is damaged' }];
  const { exitCode, out, err } = await withOperations(['backup', '--json'], backing(results));
  expect({ exitCode, err }).toEqual({ exitCode: 1, err: '' });
  expect(JSON.parse(out)).toEqual({ tenants: results });
});

test('an empty data directory is no mistake', async () => {
  const { exitCode, out } = await withOperations(['backup', '--data-dir', 'd'], backing([]));
  expect({ exitCode, out }).toEqual({ exitCode: 0, out: 'there are no tenants in d yet, so nothing was backed up' });
});

test.each([
  [['backup'], {}, {}],
  [['backup', '--tenant', 'acme'], {}, { tenant: 'acme' }],
  [['backup', '--to', 'copies'], {}, { to: resolve('copies') }],
  [['backup', '--backup-dir', '/mnt/b'], {}, { to: '/mnt/b' }],
  [['backup'], { BACKUP_DIR: '/mnt/b' }, { to: '/mnt/b' }],
  [['backup', '--to', '/mnt/c'], { BACKUP_DIR: '/mnt/b' }, { to: '/mnt/c' }],
])('%j with %j: where nobody named a folder, the server decides', async (words, env, request) => {
  const operations = backing([made]);
  await withOperations(words, operations, { env });
  expect(operations.asked).toEqual([request]);
});

test('progress is a bar on a terminal, taken away before the answer', async () => {
  const drawn: string[] = [];
  const backup: DataOperations['backup'] = async (_, progress) => {
    progress({ tenant: 'acme', at: 2, of: 3, bytes: 1024, bytesTotal: 4096 });
    return [made];
  };
  const screen = { write: (text: string) => drawn.push(text), columns: 120 };
  await withOperations(['backup'], { backup }, { screen });
  expect(drawn).toEqual([
    `\u001b[K  copying [${'█'.repeat(7)}${'░'.repeat(23)}] 25 %, 1.0 KiB of acme, 2 of 3 tenants\r`,
    '\u001b[K',
  ]);
  expect((await withOperations(['backup'], { backup })).err).toBe('');
});

test('what the server refuses is told as it said it', async () => {
  const backup = async (): Promise<never> => {
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', syscall: 'write' });
  };
  const { exitCode, err, closed } = await withOperations(['backup'], { backup });
  expect({ exitCode, err, closed }).toEqual({
    exitCode: 1,
    err: 'fermata: ENOSPC: no space left on device, write',
    closed: 1,
  });
});

test.each([
  [['backup', 'acme'], '"acme" is one word too many'],
  [['backup', '--tenant', 'Acme'], '--tenant: "Acme" is no tenant'],
  [['backup', '--too', 'x'], 'there is no flag --too; did you mean --to?'],
])('the wrong words are told: %s', async (words, sentence) => {
  const { exitCode, err } = await withOperations(words, {});
  expect(exitCode).toBe(64);
  expect(err).toContain(sentence);
});

import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { Journal } from '../../src/storage/journal.ts';
import { systemClock } from '../../src/host/clock.ts';
import { createLog } from '../../src/host/log.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import type { SessionRecord } from '../../src/storage/contract.ts';
import { KeeperCore } from '../../src/storage/keeper.ts';
import { fermata, newFolder } from './command-fixture.ts';

const dataDir = newFolder();

beforeAll(() => {
  mkdirSync(join(dataDir, 'journal'), { recursive: true });
  const journal = Journal.open(join(dataDir, 'journal', '0.db'));
  const entry = (tenant: string, id: string, state: unknown) => ({
    address: { tenant, type: 'counter', id },
    seq: 1,
    version: 1,
    change: { kind: 'state' as const, text: JSON.stringify(state) },
    call: undefined,
    trail: undefined,
  });
  const visitor = { clientId: 'a', sessionId: 's', userId: null, claims: {} };
  const visits = [{ kind: 'in', n: 1, visitor } as const];
  const trail = { numbered: [], visits, patches: [], events: [], eventsMax: 0 };
  journal.commit(
    [
      { ...entry('acme', 'c1', { count: 7 }), trail },
      entry('acme', '-c2', { note: 'bell \u009b31m' }),
      entry('globex', 'c1', {}),
    ],
    'durable',
  );
  journal.close();
});

const inspect = (...words: string[]) => fermata(['inspect', ...words, '--data-dir', dataDir]);

test('tenants are listed by default', async () => {
  const { exitCode, out } = await inspect();
  expect(exitCode).toBe(0);
  expect(out.split('\n').map((line) => line.split(/ {2,}/)[0])).toEqual(['tenant', 'acme', 'globex']);
  expect(await inspect('tenants')).toEqual({ exitCode, out, err: '' });
});

test('the actors of one tenant are listed, and of no other', async () => {
  const { out } = await inspect('actors', 'acme');
  expect(out).toMatch(/^counter +c1 +1 +11 bytes/m);
  expect(out.split('\n')).toHaveLength(3);
});

test('one actor is shown with its state', async () => {
  const { exitCode, out } = await inspect('actor', 'acme', 'counter', 'c1');
  expect(exitCode).toBe(0);
  expect(out).toMatch(/^tenant +acme$/m);
  expect(out).toMatch(/^seq +1$/m);
  expect(out).toContain('{\n  "count": 7\n}');
});

test('--json gives the same to scripts', async () => {
  expect(JSON.parse((await inspect('--json')).out)).toMatchObject([{ tenant: 'acme' }, { tenant: 'globex' }]);
  expect(JSON.parse((await inspect('actors', 'acme', '--json')).out)).toHaveLength(2);
  expect(JSON.parse((await inspect('actor', 'acme', 'counter', 'c1', '--json')).out)).toMatchObject({
    type: 'counter',
    id: 'c1',
    seq: 1,
    state: { count: 7 },
  });
});

test('an actor is shown with its visitors and outcomes', async () => {
  const { out } = await inspect('actor', 'acme', 'counter', 'c1');
  expect(out).toMatch(/^stored outcomes +0$/m);
  expect(out).toMatch(/^visitors +1$/m);
});

test('the sessions of a tenant are listed, the newest first', async () => {
  const folder = newFolder();
  const log = createLog({ level: 'silent', pretty: false }, 'test');
  const core = new KeeperCore({ dataDir: folder, limits: defaultLimits, log, clock: systemClock, boot: 'boot-1' });
  const nowMs = Date.now();
  const session = (sessionId: string, connectedMs: number, more: Partial<SessionRecord>): SessionRecord => {
    const fixed = { tenant: 'acme', userId: null, status: 'active', reason: '', boot: 'boot-1' } as const;
    return { ...fixed, sessionId, clientId: `client-${sessionId}`, connectedMs, seenMs: connectedMs, ...more };
  };
  core.putSessions([
    session('old', nowMs - 3 * 3_600_000, { status: 'inactive', reason: 'expired', userId: 'zo\u009be' }),
    session('new', nowMs - 40_000, {}),
  ]);
  core.close();
  const { exitCode, out } = await fermata(['inspect', 'sessions', 'acme', '--data-dir', folder]);
  expect(exitCode).toBe(0);
  expect(out.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['client', 'user', 'status', 'reason', 'connected', 'last seen'],
    ['client-new', 'active', expect.stringMatching(/^4\d s ago$/), expect.stringMatching(/^4\d s ago$/)],
    ['client-old', 'zo\\u009be', 'inactive', 'expired', '3 h ago', '3 h ago'],
  ]);
  const json = await fermata(['inspect', 'sessions', 'acme', '--json', '--data-dir', folder]);
  expect(JSON.parse(json.out)).toMatchObject([
    { sessionId: 'new', clientId: 'client-new', userId: null, status: 'active' },
    { sessionId: 'old', reason: 'expired' },
  ]);
  expect((await inspect('sessions', 'acme')).out).toBe('tenant acme has no sessions on record');
});

test('an id that begins with a dash comes after --, and its state cannot steer the terminal', async () => {
  const { exitCode, out } = await fermata(['inspect', 'actor', '--data-dir', dataDir, '--', 'acme', 'counter', '-c2']);
  expect(exitCode).toBe(0);
  expect(out).toContain('bell \\u009b31m');
});

test.each([
  [['actors', 'nobody'], 'there is no tenant "nobody"'],
  [['actors', '../acme'], 'is not a name that a tenant can have'],
  [['actor', 'acme', 'counter', 'c9'], 'has no actor "counter/c9"'],
])('what is not there is told in one line: %s', async (words, sentence) => {
  const { exitCode, out, err } = await inspect(...words);
  expect({ exitCode, out }).toEqual({ exitCode: 1, out: '' });
  expect(err).toContain(sentence);
  expect(err.split('\n')).toHaveLength(1);
});

test('an empty data directory has no tenants yet, and an absent one is told and not made', async () => {
  const empty = newFolder();
  expect((await fermata(['inspect', '--data-dir', empty])).out).toBe(`there are no tenants in ${empty} yet`);
  const absent = join(empty, 'absent');
  const { exitCode, err } = await fermata(['inspect', '--data-dir', absent]);
  expect(exitCode).toBe(1);
  expect(err).toContain(absent);
  expect(existsSync(absent)).toBe(false);
});

test.each([
  [['actr', 'acme'], 'did you mean actor?'],
  [['actors'], 'inspect actors takes <tenant>'],
  [['sessions'], 'inspect sessions takes <tenant>'],
  [['actor', 'acme', 'counter'], 'inspect actor takes <tenant> <type> <id>'],
  [['tenants', 'acme'], 'inspect tenants takes no further words'],
])('the wrong words are told: %s', async (words, sentence) => {
  const { exitCode, err } = await inspect(...words);
  expect(exitCode).toBe(64);
  expect(err).toContain(sentence);
});

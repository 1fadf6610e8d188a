/** What is closed off is shown with what to do about it; only calls are released. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/host/clock.ts';
import { createLog } from '../../src/host/log.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { KeeperCore } from '../../src/storage/keeper.ts';
import { type PoisonCall, readPoison, writePoison } from '../../src/storage/poison-file.ts';
import { packRow } from '../../src/storage/journal-row.ts';
import { fermata, newFolder } from './command-fixture.ts';

const since = '2026-01-02T03:04:05.678Z';

const boom: PoisonCall = {
  fingerprint: '0a1b2c3d4e5f60718293a4b5c6d7e8f9',
  tenant: 'acme',
  actor: 'counter',
  actorId: 'c\u009b1',
  method: 'boom',
  key: 'k1',
  since,
};
const bang: PoisonCall = { ...boom, fingerprint: 'f'.repeat(32), method: 'bang', key: '' };

/** Tenant globex is closed off as a whole, of tenant acme the actor c2; acme's c1 is sound. */
function closedOff(): string {
  const dataDir = newFolder();
  const log = createLog({ level: 'silent', pretty: false }, 'test');
  const core = new KeeperCore({ dataDir, limits: defaultLimits, log, clock: systemClock, boot: 'boot' });
  const address = (tenant: string, id: string) => ({ tenant, type: 'counter', id });
  const entry = (tenant: string, id: string) => ({
    address: address(tenant, id),
    seq: 1,
    version: 1,
    change: { kind: 'state' as const, text: '{}' },
    call: undefined,
    trail: undefined,
  });
  const { body } = packRow(1, 1, [entry('acme', 'c1'), entry('globex', 'c1')]);
  core.committed(0, { journalSeq: 1, body }, [{ address: address('acme', 'c2'), text: '' }]);
  core.flush();
  core.quarantineTenant('globex', 'a page of it is damaged');
  core.close();
  return dataDir;
}

const quarantine = (dataDir: string, ...words: string[]) => fermata(['quarantine', ...words, '--data-dir', dataDir]);

test('list shows calls, tenants and actors, each with since when, why and what to do', async () => {
  const dataDir = closedOff();
  writePoison(dataDir, [boom]);
  const { exitCode, out, err } = await quarantine(dataDir, 'list');
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
  const [heading, ...rows] = out.split('\n').map((line) => line.split(/ {2,}/));
  expect(heading).toEqual(['what', 'who', 'since', 'why', 'what to do']);
  expect(rows).toEqual([
    [
      'call',
      'acme counter/c\\u009b1 boom (key k1)',
      since,
      'ended its shard 3 times within a minute',
      `mend its handler, then: fermata quarantine release ${boom.fingerprint}`,
    ],
    [
      'actor',
      'acme counter/c2',
      expect.stringMatching(/^20.*Z$/),
      'its entries in the journal failed their check',
      "put back a sound copy of the tenant's file",
    ],
    [
      'tenant',
      'globex',
      expect.stringMatching(/^20.*Z$/),
      'a page of it is damaged',
      expect.stringMatching(/^put back a sound copy of its file; the damaged one lies in quarantine\/globex-/),
    ],
  ]);
  expect(await quarantine(dataDir)).toEqual({ exitCode, out, err });
});

test('--json gives the same to scripts', async () => {
  const dataDir = closedOff();
  writePoison(dataDir, [boom]);
  const { exitCode, out } = await quarantine(dataDir, 'list', '--json');
  expect(exitCode).toBe(0);
  expect(JSON.parse(out)).toMatchObject([
    { kind: 'call', ...boom },
    { kind: 'actor', tenant: 'acme', type: 'counter', id: 'c2' },
    { kind: 'tenant', tenant: 'globex', movedTo: expect.stringMatching(/^quarantine\/globex-/) },
  ]);
});

test('nothing closed off is told, and an absent directory too', async () => {
  const dataDir = newFolder();
  expect(await quarantine(dataDir)).toEqual({ exitCode: 0, out: `nothing is quarantined in ${dataDir}`, err: '' });
  expect((await quarantine(dataDir, '--json')).out).toBe('[]');
  const absent = await quarantine(join(dataDir, 'absent'), 'release', 'x');
  expect(absent).toMatchObject({ exitCode: 1, out: '' });
  expect(absent.err).toContain('there is no data directory');
});

test('a file that cannot be read hides no other, and is told', async () => {
  const dataDir = closedOff();
  mkdirSync(join(dataDir, 'tenants/bad'));
  writeFileSync(join(dataDir, 'tenants/bad/tenant.db'), 'not a file of ours, but of more bytes than none');
  const { exitCode, out, err } = await quarantine(dataDir);
  expect(exitCode).toBe(1);
  expect(out).toContain('globex');
  expect(err).toMatch(/^fermata: tenant bad could not be read: /);
});

test('release takes one call off the list and leaves the others', async () => {
  const dataDir = newFolder();
  writePoison(dataDir, [boom, bang]);
  expect(await quarantine(dataDir, 'release', bang.fingerprint)).toEqual({
    exitCode: 0,
    out: 'released: acme counter/c\\u009b1 bang. A running server lets it run again within a second.',
    err: '',
  });
  expect(readPoison(dataDir)).toEqual([boom]);
  const again = await quarantine(dataDir, 'release', bang.fingerprint);
  expect(again).toMatchObject({ exitCode: 1, out: '' });
  expect(again.err).toContain(`no call with the fingerprint "${bang.fingerprint}" is quarantined`);
});

test.each([
  [
    ['globex'],
    'tenant globex cannot be released',
    /Its file lies in .*\/quarantine\/globex-.*\/tenants\/globex\/QUARANTINED/,
  ],
  [
    ['acme', 'counter/c2'],
    'actor acme counter/c2 cannot be released',
    /held-entries\.db.*\/tenants\/acme\/tenant\.db,/,
  ],
  [['acme', 'counter', 'c2'], 'actor acme counter/c2 cannot be released', /stop the server/],
])('what failed a check is not released: %s is told what to do instead', async (words, sentence, hint) => {
  const dataDir = closedOff();
  const { exitCode, out, err } = await quarantine(dataDir, 'release', ...words);
  expect({ exitCode, out }).toEqual({ exitCode: 1, out: '' });
  expect(err).toContain(sentence);
  expect(err).toMatch(hint);
  expect((await quarantine(dataDir)).out).toContain('globex');
});

test.each([
  [['lisst'], 'did you mean list?'],
  [['list', 'acme'], 'takes no further words'],
  [['release'], 'takes the fingerprint of a call'],
])('the wrong words are told: %s', async (words, sentence) => {
  const { exitCode, err } = await quarantine(newFolder(), ...words);
  expect(exitCode).toBe(64);
  expect(err).toContain(sentence);
});

/** `fermata verify` and `fermata backups` over real backups: sound ones, damaged ones, and parts of them. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { verifyScope } from '../../src/cli/verify-scope.ts';
import { putBase, putSegment, storeTenant } from './backup-fixture.ts';
import { fermata, newFolder } from './command-fixture.ts';

const firstMs = Date.parse('2026-11-21T10:00:00.000Z');
const hourMs = 3_600_000;

/** Two bases of acme an hour apart, its log with a gap between, and one base of globex without a log. */
async function newBackups(): Promise<string> {
  const dir = join(newFolder(), 'backups');
  const origin = newFolder();
  storeTenant(origin, 'acme', { c1: 1, c2: 2 });
  storeTenant(origin, 'globex', { c1: 1 });
  await putBase(dir, origin, 'acme', firstMs, 1);
  await putSegment(dir, 'acme', 1, 'previous', [[firstMs + 10_000, 'c1', 2, 10]]);
  await putSegment(dir, 'acme', 2, 'previous', [[firstMs + 20_000, 'c1', 3, 20]]);
  await putSegment(dir, 'acme', 3, 'gap', [[firstMs + hourMs - 10_000, 'c1', 5, 50]]);
  await putBase(dir, origin, 'acme', firstMs + hourMs, 4);
  await putSegment(dir, 'acme', 4, 'previous', [[firstMs + hourMs + 10_000, 'c1', 6, 60]]);
  await putBase(dir, origin, 'globex', firstMs);
  return dir;
}

function flip(path: string): void {
  const bytes = readFileSync(path);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

const firstBase = 'acme/base/20261121T100000000Z.db';
const secondBase = 'acme/base/20261121T110000000Z.db';

describe('verify', () => {
  let sound: string;
  beforeAll(async () => {
    sound = await newBackups();
  });

  test('prints a line for each object, and ends with 0 when all is sound', async () => {
    const { exitCode, out, err } = await fermata(['verify', sound]);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    const lines = out.split('\n');
    expect(lines).toHaveLength(8);
    expect(lines.slice(0, 7).every((line) => line.startsWith('ok '))).toBe(true);
    expect(out).toMatch(new RegExp(`^ok {7}${firstBase} .*, 2 actors$`, 'm'));
    expect(out).toMatch(/^ok {7}acme\/log\/00000003\.log .*, 1 record, entries are missing before /m);
    expect(lines.at(-1)).toBe(`all is sound: 7 objects in ${sound}`);
  });

  test('--json prints one object', async () => {
    const { exitCode, out } = await fermata(['verify', '--json'], { BACKUP_DIR: sound });
    expect(exitCode).toBe(0);
    const answer = JSON.parse(out) as { reports: object[] };
    expect(answer).toMatchObject({ backups: sound, objects: 7, damaged: 0 });
    expect(answer.reports[0]).toMatchObject({ name: firstBase, tenant: 'acme', kind: 'base', actors: 2 });
  });

  test.each([
    ['acme', [], 6],
    ['acme/base', [], 2],
    ['acme/log/', [], 4],
    [firstBase, [], 1],
    [firstBase.replace('.db', '.json'), [], 1],
    ['acme/log/00000004.log', [], 1],
    ['', ['--tenant', 'globex'], 1],
    ['acme', ['--tenant', 'acme'], 6],
  ])('takes a part of it: %s %j', async (part, flags, objects) => {
    const { exitCode, out } = await fermata(['verify', join(sound, part), ...flags, '--json']);
    expect({ exitCode, ...(JSON.parse(out) as object) }).toMatchObject({ exitCode: 0, objects, backups: sound });
  });

  test.each([firstBase, secondBase.replace('.db', '.json'), 'acme/log/00000002.log'])(
    'a flipped bit in %s is found, and ends with 65',
    async (name) => {
      const dir = await newBackups();
      flip(join(dir, name));
      const { exitCode, out } = await fermata(['verify', dir]);
      expect(exitCode).toBe(65);
      expect(out.split('\n').filter((line) => line.startsWith('DAMAGED'))).toHaveLength(1);
      expect(out).toMatch(new RegExp(`^DAMAGED .*${name.replace(/\.\w+$/, '')}`, 'm'));
      expect(out).toContain(`1 of 7 objects in ${dir} is damaged`);
      expect(JSON.parse((await fermata(['verify', dir, '--json'])).out)).toMatchObject({ damaged: 1 });
      expect((await fermata(['verify', join(dir, name)])).exitCode).toBe(65);
      expect((await fermata(['verify', dir, '--tenant', 'globex'])).exitCode).toBe(0);
    },
  );

  test('what is not there, and what is nothing of the kind, is told', async () => {
    const absent = await fermata(['verify', join(sound, 'absent')]);
    expect(absent.exitCode).toBe(1);
    expect(absent.err).toContain(`there is nothing at ${sound}/absent to verify`);
    writeFileSync(join(newFolder(), 'x'), '');
    const foreign = await fermata(['verify', import.meta.filename]);
    expect(foreign.exitCode).toBe(64);
    expect(foreign.err).toContain('is neither a base, a manifest nor a segment of a log');
    const empty = await fermata(['verify', newFolder()]);
    expect(empty.exitCode).toBe(1);
    expect(empty.err).toContain('there are no backups');
    const crossed = await fermata(['verify', join(sound, 'acme'), '--tenant', 'globex']);
    expect(crossed.exitCode).toBe(64);
    expect(crossed.err).toContain('is of tenant acme, not of globex');
  });

  test('tenants called base and log are told from the folders of a tenant', () => {
    const root = newFolder();
    for (const path of ['base/base', 'base/log', 'log/base', 'log/log', 'acme/base']) {
      mkdirSync(join(root, 'backups', path), { recursive: true });
    }
    const scope = (path: string) => verifyScope(join(root, 'backups', path), undefined).prefix;
    expect([scope(''), scope('base'), scope('log'), scope('acme')]).toEqual(['', 'base/', 'log/', 'acme/']);
    expect([scope('base/base'), scope('log/log'), scope('acme/base')]).toEqual([
      'base/base/',
      'log/log/',
      'acme/base/',
    ]);
  });
});

describe('backups', () => {
  test('lists bases and the spans that can be restored, gaps left out', async () => {
    const dir = await newBackups();
    const { exitCode, out, err } = await fermata(['backups', '--backup-dir', dir]);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    const cells = out.split('\n').map((line) => line.split(/ {2,}/));
    expect(cells.map((row) => row.slice(0, 2))).toContainEqual(['acme', secondBase]);
    expect(out).toContain('any second from 2026-11-21T10:00:00.020Z to 2026-11-21T10:00:20.000Z');
    expect(out).toContain('any second from 2026-11-21T11:00:00.020Z to 2026-11-21T11:00:10.000Z');
    expect(out).toContain('as of 2026-11-21T10:00:00.020Z');
    const globex = await fermata(['backups', '--backup-dir', dir, '--tenant', 'globex', '--json']);
    expect(JSON.parse(globex.out)).toEqual({
      backups: dir,
      tenants: [
        {
          tenant: 'globex',
          bases: [
            {
              name: 'globex/base/20261121T100000000Z.db',
              began: '2026-11-21T10:00:00.000Z',
              finished: '2026-11-21T10:00:00.020Z',
              bytes: expect.any(Number),
              actors: 1,
              logFrom: null,
            },
          ],
          log: { segments: 0, bytes: 0 },
          restorable: [{ from: '2026-11-21T10:00:00.020Z', to: '2026-11-21T10:00:00.020Z' }],
          damaged: [],
        },
      ],
    });
  });

  test('a damaged segment ends a span, and is told', async () => {
    const dir = await newBackups();
    flip(join(dir, 'acme/log/00000002.log'));
    const { exitCode, out, err } = await fermata(['backups', '--backup-dir', dir]);
    expect(exitCode).toBe(65);
    expect(err).toContain('fermata: damaged: acme/log/00000002.log');
    expect(out).toContain('to 2026-11-21T10:00:10.000Z');
  });

  test('no backups are told, and an absent folder is not created', async () => {
    const empty = newFolder();
    expect(await fermata(['backups', '--backup-dir', empty])).toEqual({
      exitCode: 0,
      out: `there are no backups in ${empty}`,
      err: '',
    });
    const absent = await fermata(['backups', '--data-dir', empty]);
    expect(absent.exitCode).toBe(1);
    expect(absent.err).toContain(`there is no folder ${empty}/backups with backups`);
  });
});

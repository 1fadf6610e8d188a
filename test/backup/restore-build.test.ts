import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeManifest } from '../../src/backup/manifest.ts';
import { segmentName } from '../../src/backup/names.ts';
import { buildTenant, type Built, renameTenant } from '../../src/backup/restore-build.ts';
import { planRestore } from '../../src/backup/restore-plan.ts';
import { encodeHeader, encodeRecord } from '../../src/backup/segment.ts';
import { verifyBase } from '../../src/backup/verify.ts';
import { directoryTarget } from '../../src/backup/directory-target.ts';
import { encodeEntry } from '../../src/storage/entry.ts';
import { look } from '../../src/storage/paths.ts';
import { address, openCore, patchEntry, silentLog, stateEntry } from '../storage/fixtures.ts';
import { formerTenantFile } from './former-file.ts';
import { compare, manifestOf, randomFrom, Story, temporaryDirectory, tenant } from './story.ts';

async function build(story: Story, atMs?: number): Promise<{ built: Built; directory: string }> {
  const directory = join(temporaryDirectory(), 'built');
  const plan = await planRestore(story.target, tenant, atMs, story);
  return { built: await buildTenant(story.target, plan, directory, silentLog), directory };
}

describe('a restored tenant', () => {
  it.each([1, 2])(
    'is what the model was at any time, in everything that could be asked (story %i)',
    { timeout: 120_000 },
    async (seed) => {
      const story = new Story(seed);
      await story.live(60);
      for (let bases = 0; bases < 3; bases += 1) {
        await story.base();
        await story.live(60);
      }
      await story.archive();
      const random = randomFrom(seed + 100);
      const [firstMs, lastMs] = [story.moments[0]!.atMs, story.clock.nowMs];
      for (let n = 0; n < 25; n += 1) {
        const atMs = firstMs + Math.floor(random() * (lastMs - firstMs + 1));
        const { built, directory } = await build(story, atMs);
        expect(built.quarantined).toEqual([]);
        compare(openCore(directory), story.at(atMs)!);
      }
      const { directory } = await build(story);
      compare(openCore(directory), story.at(Infinity)!);
    },
  );

  it('begins another epoch, and has nothing beside its file', async () => {
    const story = new Story(3);
    await story.live(10);
    await story.base();
    const { built, directory } = await build(story);
    expect(readdirSync(join(directory, 'tenants', tenant))).toEqual(['tenant.db']);
    expect(built).toMatchObject({ tenant, path: join(directory, 'tenants', tenant, 'tenant.db') });
    expect(verifyBase(built.path, tenant)).toMatchObject({ sha256: built.sha256, actors: built.actors });
    expect(openCore(directory).load(address('any')).epoch).not.toBe('first-epoch');
  });

  it('is not built over something, and leaves nothing behind when it fails', async () => {
    const story = new Story(4);
    await story.live(10);
    await story.base();
    const directory = join(temporaryDirectory(), 'built');
    const plan = await planRestore(story.target, tenant, undefined, story);
    await expect(buildTenant(story.target, plan, story.directory, silentLog)).rejects.toThrow('is there already');
    await story.target.put(plan.base!.name, formerTenantFile(temporaryDirectory()));
    await expect(buildTenant(story.target, plan, directory, silentLog)).rejects.toThrow('by its manifest');
    expect(existsSync(directory)).toBe(false);
  });

  it('is brought up to date when its base is of an older format', async () => {
    const target = directoryTarget(temporaryDirectory());
    const path = formerTenantFile(temporaryDirectory());
    const [beganMs, finishedMs] = [Date.now() - 2000, Date.now() - 1000];
    const facts = verifyBase(path, tenant);
    expect(facts).toMatchObject({ fileVersion: 1, actors: 1 });
    const name = `${tenant}/base/${new Date(beganMs).toISOString().replaceAll(/[-:.]/g, '')}`;
    await target.put(`${name}.db`, path);
    await target.putText(
      `${name}.json`,
      encodeManifest({ ...manifestOf(facts, tenant, beganMs, finishedMs), logFrom: 1 }),
    );
    const c1 = address('c1');
    const began = new Date(beganMs).toISOString();
    const entry = encodeEntry(patchEntry(c1, 2, [{ op: 'replace', path: '/n', value: 2 }]));
    const text = encodeHeader({ log: 1, tenant, number: 1, began, after: 'gap' }) + encodeRecord(finishedMs, entry);
    await target.append(segmentName(tenant, 1), 0, Buffer.from(text));
    const directory = join(temporaryDirectory(), 'built');
    const built = await buildTenant(target, await planRestore(target, tenant), directory, silentLog);
    expect(built.fileVersion).toBeGreaterThan(1);
    const core = openCore(directory);
    expect(core.load(c1)).toMatchObject({ seq: 2, state: '{"n":2}' });
    expect(core.outcome(c1, 'k')).toEqual({ args: 'hash', outcome: { kind: 'ok', result: '7' } });
  });

  it('says which actors are closed off, when the log does not fit them', async () => {
    const target = directoryTarget(temporaryDirectory());
    const began = new Date(1000).toISOString();
    const entries = [
      stateEntry(address('good'), 1, { n: 1 }),
      stateEntry(address('holed'), 1, { n: 1 }),
      patchEntry(address('holed'), 3, [{ op: 'replace', path: '/n', value: 3 }]),
    ];
    const records = entries.map((entry) => encodeRecord(2000, encodeEntry(entry)));
    const text = encodeHeader({ log: 1, tenant, number: 1, began, after: 'start' }) + records.join('');
    await target.append(segmentName(tenant, 1), 0, Buffer.from(text));
    const directory = join(temporaryDirectory(), 'built');
    const built = await buildTenant(target, await planRestore(target, tenant), directory, silentLog);
    expect(built.quarantined).toEqual([{ type: 'counter', id: 'holed', reason: 'change 2 is missing before 3' }]);
    expect(built.actors).toBe(1);
    const renamed = await renameTenant(directory, tenant, 'other');
    expect(renamed.quarantined).toEqual(built.quarantined);
    expect(() => openCore(directory).load(address('holed', 'other'))).toThrow('is closed');
  });
});

describe('a tenant that is restored under another name', () => {
  it('passes all checks as the new one, not as the old one, and holds the same', async () => {
    const story = new Story(5);
    await story.live(80);
    await story.base();
    await story.live(40);
    await story.archive();
    const { built, directory } = await build(story);
    const renamed = await renameTenant(directory, tenant, 'acme-before');
    expect(renamed).toMatchObject({ tenant: 'acme-before', actors: built.actors });
    expect({ ...renamed.rows, sessions: 0 }).toEqual({ ...built.rows, sessions: 0 });
    expect(look(built.path)).toBeUndefined();
    expect(() => verifyBase(renamed.path, tenant)).toThrow('belongs to tenant "acme-before"');
    compare(openCore(directory), story.at(Infinity)!, 'acme-before');
    await expect(renameTenant(directory, 'acme-before', 'acme-before')).rejects.toThrow('there is a tenant');
  });
});

import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MoveStore } from '../../src/cluster/move-store.ts';
import { slotOf } from '../../src/protocol/placement.ts';
import { NatsServer } from '../support/nats-server.ts';
import { dial } from './fixtures.ts';

const move = { slot: slotOf('acme', 64), epoch: 7 };
const partBytes = 1000;

let nats: NatsServer;
let nc: NatsConnection;
let folder: string;
let store: MoveStore;

beforeAll(async () => {
  nats = await NatsServer.start();
  nc = await dial(nats);
  folder = mkdtempSync(join(tmpdir(), 'fermata-move-'));
  store = await MoveStore.open({ nc, replicas: 1, partBytes });
});

afterAll(async () => {
  await nc.close();
  await nats.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('the store of files on their way', () => {
  it.each([0, 1, partBytes, 3 * partBytes + 17])('brings a file of %d bytes over as it is', async (bytes) => {
    const { path, content } = fileOf(bytes);
    let put = 0;
    const file = await store.put(move, 'acme', path, (more) => void (put += more));
    expect(file).toEqual({ tenant: 'acme', bytes, sha256: sha256(content), parts: Math.ceil(bytes / partBytes) });
    expect(put).toBe(bytes);
    const arrived = join(folder, `arrived-${bytes}`);
    let got = 0;
    await store.get(move, file, arrived, (more) => void (got += more));
    expect(readFileSync(arrived).equals(content)).toBe(true);
    expect(got).toBe(bytes);
    await store.remove(move, [file]);
  });

  it('refuses a file that is not what was said of it, and one that is not there', { timeout: 20_000 }, async () => {
    const { path } = fileOf(1500);
    const file = await store.put(move, 'acme', path, () => undefined);
    const wrong = { ...file, sha256: '0'.repeat(64) };
    await expect(store.get(move, wrong, join(folder, 'wrong'), () => undefined)).rejects.toThrow(
      'the file of tenant "acme" did not arrive as it was sent',
    );
    await store.remove(move, [file]);
    await expect(store.get(move, file, join(folder, 'gone'), () => undefined)).rejects.toThrow(
      /is not in the object store/,
    );
  });

  it('keeps the list of files, and refuses one that names what cannot be in the slot', {
    timeout: 20_000,
  }, async () => {
    const files = [{ tenant: 'acme', bytes: 5, sha256: '0'.repeat(64), parts: 1 }];
    await store.putManifest(move, files);
    expect(await store.manifest(move)).toEqual(files);
    const foreign = Array.from({ length: 100 }, (_, n) => `t${n}`).find((tenant) => slotOf(tenant, 64) !== move.slot)!;
    for (const tenant of [foreign, '../../etc', '']) {
      await store.putManifest(move, [{ ...files[0]!, tenant }]);
      await expect(store.manifest(move)).rejects.toThrow(/cannot be read/);
    }
    await store.remove(move, []);
    await expect(store.manifest(move)).rejects.toThrow(/is not in the object store/);
  });

  it('goes on when NATS was away for a moment, and ends when it is told to', { timeout: 30_000 }, async () => {
    const { path, content } = fileOf(5 * partBytes);
    let parts = 0;
    const file = await store.put(move, 'acme', path, () => {
      parts += 1;
      if (parts !== 2) return;
      void nats.down().then(() => nats.up());
    });
    const arrived = join(folder, 'after all');
    await store.get(move, file, arrived, () => undefined);
    expect(sha256(readFileSync(arrived))).toBe(sha256(content));
    const ended = await MoveStore.open({
      nc,
      replicas: 1,
      partBytes,
      check: () => {
        throw new Error('enough');
      },
    });
    await expect(ended.put(move, 'acme', path, () => undefined)).rejects.toThrow('enough');
  });
});

function fileOf(bytes: number): { path: string; content: Buffer } {
  const content = randomBytes(bytes);
  const path = join(folder, `file-${bytes}`);
  writeFileSync(path, content);
  return { path, content };
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

/**
 * Files of tenants on their way from one node to another, in JetStream's object store: each in parts, and a list of them all.
 *
 *     <slot>-<epoch>/<tenant>/<n>      a part; the store keeps and checks its SHA-256
 *     <slot>-<epoch>/manifest          every file with its length and the SHA-256 of the whole; put last
 *
 * Parts, because the store's reader takes what comes and would hold a whole file in memory. What a crash left behind goes by
 * itself after a day.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { type NatsConnection, nanos, type ObjectStore, StorageType } from 'nats';
import { isTenant } from '../protocol/address.ts';
import { slotOf } from '../protocol/placement.ts';
import { buckets, slots } from '../transport/nats-names.ts';

export interface MovedFile {
  readonly tenant: string;
  readonly bytes: number;
  /** 64 hex digits, of the whole. */
  readonly sha256: string;
  readonly parts: number;
}

export interface MoveName {
  readonly slot: number;
  /** Of the slot, under the node that gives it away. */
  readonly epoch: number;
}

export interface MoveStoreOptions {
  readonly nc: NatsConnection;
  /** Copies in a NATS cluster. */
  readonly replicas: number;
  readonly partBytes?: number;
  /** Asked before each part: throws to end it. */
  readonly check?: () => void;
}

const partBytesDefault = 4 * 1024 * 1024;
const timeoutMs = 5000;
const ageMsMax = 24 * 60 * 60 * 1000;
const readMsMax = 30_000;
const triesMax = 5;
const pauseMs = 500;
const manifestBytesMax = 64 * 1024 * 1024;

export class MoveStore {
  readonly #objects: ObjectStore;
  readonly #partBytes: number;
  readonly #check: () => void;

  /** @throws Error when NATS does not answer */
  static async open({ nc, replicas, partBytes, check }: MoveStoreOptions): Promise<MoveStore> {
    const objects = await nc.jetstream({ timeout: timeoutMs }).views.os(buckets.moves, {
      description: 'Tenant files on their way between nodes of Fermata',
      storage: StorageType.File,
      replicas,
      ttl: nanos(ageMsMax),
    });
    return new MoveStore(objects, partBytes ?? partBytesDefault, check ?? (() => undefined));
  }

  private constructor(objects: ObjectStore, partBytes: number, check: () => void) {
    this.#objects = objects;
    this.#partBytes = partBytes;
    this.#check = check;
  }

  /** Ships a file that nobody writes to. `progress` is told the bytes of each part. @throws Error */
  async put(move: MoveName, tenant: string, path: string, progress: (bytes: number) => void): Promise<MovedFile> {
    const whole = createHash('sha256');
    let bytes = 0;
    let parts = 0;
    for await (const chunk of createReadStream(path, { highWaterMark: this.#partBytes })) {
      const part = chunk as Buffer;
      whole.update(part);
      const name = partName(move, tenant, parts);
      await this.#try(async () => await this.#objects.putBlob({ name }, part, { timeout: timeoutMs }));
      bytes += part.length;
      parts += 1;
      progress(part.length);
    }
    return { tenant, bytes, sha256: whole.digest('hex'), parts };
  }

  /** Writes it to `path`, where nothing may lie; synced when it settles. @throws Error when anything is not as it was said */
  async get(move: MoveName, file: MovedFile, path: string, progress: (bytes: number) => void): Promise<void> {
    const whole = createHash('sha256');
    const out = await open(path, 'wx', 0o600);
    let bytes = 0;
    try {
      for (let n = 0; n < file.parts; n += 1) {
        const part = await this.#getBlob(partName(move, file.tenant, n));
        whole.update(part);
        bytes += part.length;
        if (bytes > file.bytes) break;
        await out.appendFile(part);
        progress(part.length);
      }
      await out.sync();
    } finally {
      await out.close();
    }
    if (bytes !== file.bytes || whole.digest('hex') !== file.sha256)
      throw new Error(`the file of tenant "${file.tenant}" did not arrive as it was sent`);
  }

  async putManifest(move: MoveName, files: readonly MovedFile[]): Promise<void> {
    const data = Buffer.from(JSON.stringify(files));
    const name = manifestName(move);
    await this.#try(async () => await this.#objects.putBlob({ name }, data, { timeout: timeoutMs }));
  }

  /** @throws Error when there is none, or it is none of this slot's */
  async manifest(move: MoveName): Promise<MovedFile[]> {
    const text = Buffer.from(await this.#getBlob(manifestName(move), manifestBytesMax)).toString();
    const files: unknown = JSON.parse(text);
    if (!Array.isArray(files) || !files.every((file) => isMovedFile(file, move.slot)))
      throw new Error(`the list of files of slot ${move.slot} cannot be read`);
    return files;
  }

  /** Best effort: what stays goes by itself. */
  async remove(move: MoveName, files: readonly Pick<MovedFile, 'tenant' | 'parts'>[]): Promise<void> {
    const names = files.flatMap(({ tenant, parts }) =>
      Array.from({ length: parts }, (_, n) => partName(move, tenant, n)),
    );
    for (const name of [manifestName(move), ...names]) {
      try {
        await this.#objects.delete(name);
      } catch {
        // Never put, or NATS is away.
      }
    }
  }

  async #getBlob(name: string, bytesMax = this.#partBytes): Promise<Uint8Array> {
    return await this.#try(async () => {
      const info = await this.#objects.info(name);
      if (info === null || info.deleted) throw new Error(`${name} is not in the object store ${buckets.moves}`);
      if (info.size > bytesMax)
        throw new Error(`${name} has ${info.size} bytes, and at most ${bytesMax} were agreed on`);
      const blob = await inTime(this.#objects.getBlob(name), name);
      if (blob === null) throw new Error(`${name} has vanished from the object store ${buckets.moves}`);
      return blob;
    });
  }

  /** NATS may be away for a moment. */
  async #try<T>(work: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      this.#check();
      try {
        return await work();
      } catch (error) {
        if (tries === triesMax) throw error;
      }
      await delay(pauseMs);
    }
  }
}

/** The store's reader waits for ever for a chunk that does not come. */
async function inTime<T>(reading: Promise<T>, name: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} did not arrive within ${readMsMax} ms`)), readMsMax);
  });
  try {
    return await Promise.race([reading, late]);
  } finally {
    clearTimeout(timer);
  }
}

function partName({ slot, epoch }: MoveName, tenant: string, n: number): string {
  return `${slot}-${epoch}/${tenant}/${n}`;
}

function manifestName({ slot, epoch }: MoveName): string {
  return `${slot}-${epoch}/manifest`;
}

function isMovedFile(value: unknown, slot: number): value is MovedFile {
  const { tenant, bytes, sha256, parts } = Object(value) as Record<string, unknown>;
  return (
    typeof tenant === 'string' &&
    isTenant(tenant) &&
    slotOf(tenant, slots) === slot &&
    Number.isSafeInteger(bytes) &&
    Number.isSafeInteger(parts) &&
    typeof sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(sha256)
  );
}

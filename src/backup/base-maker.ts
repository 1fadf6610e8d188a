/**
 * Makes bases: one verified copy of each tenant's file in the target, and clears away what is not kept any more.
 *
 *   copy, and a new segment of the log ─▶ verify (another thread restores it) ─▶ put the file ─▶ put the manifest ─▶ retention
 *
 * Invariants: a base without manifest is none, so that one which was killed on its way never counts · nothing is removed
 * before the new base is complete · segments that the oldest kept base needs are kept.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '../host/log.ts';
import type { Copied, CopyRequest } from '../storage/tenant-copies.ts';
import { makeDirectory } from '../storage/paths.ts';
import { compactLog } from './compaction.ts';
import { walkLog } from './log-chain.ts';
import { decodeManifest, encodeManifest, type Manifest } from './manifest.ts';
import { baseName, basesOf, baseTime } from './names.ts';
import { type Keep, keepBases } from './retention.ts';
import type { BackupTarget } from './target.ts';
import type { BaseFacts } from './verify.ts';

/** Whoever holds the tenants' files: the keeper. */
export interface BaseSource {
  tenants(): Promise<readonly string[]>;
  copy(request: Omit<CopyRequest, 'shards'>, progress: (pages: number, pagesTotal: number) => void): Promise<Copied>;
}

export interface BaseMakerParts {
  readonly source: BaseSource;
  readonly target: BackupTarget;
  /** Whether the keeper archives what is committed to the same target. */
  readonly archives: boolean;
  /** For copies on their way; made and removed here. Nobody else uses it. */
  readonly workDir: string;
  readonly verify: (path: string, tenant: string) => Promise<BaseFacts>;
  readonly versions: { readonly fermata: string; readonly sqlite: string };
  /** Undefined: nothing is ever removed from the target. */
  readonly keep: Keep | undefined;
  readonly log: Logger;
}

export interface MadeBase {
  readonly tenant: string;
  readonly base: string;
  readonly bytes: number;
  readonly actors: number;
  readonly ms: number;
  readonly longestPauseMs: number;
}

export class BaseMaker {
  readonly #parts: BaseMakerParts;
  #made = 0;

  constructor(parts: BaseMakerParts) {
    this.#parts = parts;
  }

  /**
   * Undefined when only what changed is wanted, and the newest base holds everything. After a `restore` nothing is cleared
   * away: who has picked the wrong second wants to try another.
   * @throws Error saying why there is no new base
   */
  async make(
    tenant: string,
    why: 'changed' | 'asked' | 'restored',
    progress: (pages: number, pagesTotal: number) => void = () => undefined,
  ): Promise<MadeBase | undefined> {
    const { source, target, archives, workDir, verify, versions, keep } = this.#parts;
    const startedMs = performance.now();
    const newest = why === 'changed' ? await this.#newest(tenant) : undefined;
    makeDirectory(workDir);
    this.#made += 1;
    const to = join(workDir, `${tenant}-${this.#made}.db`);
    rmSync(to, { force: true });
    try {
      const copied = await source.copy(
        { tenant, to, beginSegment: archives, ...(newest === undefined ? {} : { unless: newest.sequence }) },
        progress,
      );
      if (copied.kind === 'unchanged') return undefined;
      const { beganMs, finishedMs, longestPauseMs, logFrom } = copied;
      const { sha256, bytes, sequence, rows, actors, fileVersion } = await verify(to, tenant);
      const name = baseName(tenant, beganMs);
      const manifest: Manifest = {
        format: 1,
        tenant,
        began: new Date(beganMs).toISOString(),
        finished: new Date(finishedMs).toISOString(),
        sequence,
        ...(logFrom === undefined ? {} : { logFrom }),
        ...(keep !== undefined && (await this.#isBehindGap(tenant, logFrom)) ? { behindGap: true } : {}),
        sha256,
        bytes,
        rows,
        versions: { ...versions, file: fileVersion },
      };
      await target.put(`${name}.db`, to);
      await target.putText(`${name}.json`, encodeManifest(manifest));
      if (keep !== undefined && why !== 'restored') await this.#clear(tenant, keep, finishedMs);
      return { tenant, base: name, bytes, actors, ms: Math.round(performance.now() - startedMs), longestPauseMs };
    } finally {
      rmSync(to, { force: true });
    }
  }

  close(): void {
    rmSync(this.#parts.workDir, { recursive: true, force: true });
  }

  async #newest(tenant: string): Promise<Manifest | undefined> {
    const name = (await this.#manifests(tenant)).at(-1);
    return name === undefined ? undefined : await this.#manifest(name);
  }

  /** Undefined when it is damaged. */
  async #manifest(name: string): Promise<Manifest | undefined> {
    try {
      return decodeManifest((await this.#parts.target.read(name)).toString('utf8'), name);
    } catch {
      return undefined;
    }
  }

  /** Is something missing in the log between the newest base there is and this one, whose log begins at `logFrom`? */
  async #isBehindGap(tenant: string, logFrom: number | undefined): Promise<boolean> {
    const { target } = this.#parts;
    const before = (await this.#manifests(tenant)).at(-1);
    if (before === undefined) return false;
    const manifest = await this.#manifest(before);
    if (manifest?.logFrom === undefined || logFrom === undefined) return true;
    try {
      for await (const step of walkLog(target, tenant, manifest.logFrom, Date.parse(manifest.began))) {
        if (step.kind === 'break') return true;
        if (step.read.number >= logFrom) return false;
      }
    } catch (error) {
      // An old segment on a bad spot of the disk is no reason to go without new bases.
      this.#parts.log.warn(
        { tenant, err: error },
        'the log since the last base cannot be read; the new one is kept longer',
      );
    }
    return true;
  }

  async #manifests(tenant: string): Promise<string[]> {
    const objects = await this.#parts.target.list(basesOf(tenant));
    return objects.map(({ name }) => name).filter((name) => name.endsWith('.json'));
  }

  /** What goes wrong here costs room, and no backup. */
  async #clear(tenant: string, keep: Keep, nowMs: number): Promise<void> {
    const { target, log } = this.#parts;
    try {
      const names = (await this.#manifests(tenant)).map((name) => name.slice(0, -'.json'.length));
      const bases = await Promise.all(
        names.map(async (name) => {
          const behindGap = (await this.#manifest(`${name}.json`))?.behindGap === true;
          return { name, beganMs: baseTime(name), behindGap };
        }),
      );
      const { keep: kept, drop } = keepBases(bases, keep, nowMs);
      for (const name of drop) {
        await target.remove(`${name}.json`);
        await target.remove(`${name}.db`);
      }
      await compactLog(target, tenant, kept.toSorted()[0]);
    } catch (error) {
      log.warn(
        { tenant, err: error },
        'what the retention does not keep could not be cleared away; the next backup tries again',
      );
    }
  }
}

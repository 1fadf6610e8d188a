/**
 * The tenant files that are open, the longest unused first. Each costs four descriptors, so that their number is bounded.
 *
 * A file that is opened for the first time in this run of the process is shown to `onFirst` before anybody reads it.
 */
import type { Logger } from '../host/log.ts';
import { TenantFile } from './tenant-file.ts';

export interface TenantFilesParts {
  readonly dataDir: string;
  readonly boot: string;
  readonly openMax: number;
  readonly log: Logger;
  /** May write. When it fails the file is opened once more, without it. */
  readonly onFirst: (file: TenantFile) => void;
}

export class TenantFiles {
  readonly #parts: TenantFilesParts;
  readonly #open = new Map<string, TenantFile>();
  /** Tenants whose file is being copied. */
  readonly #pinned = new Set<string>();
  /** Tenants whose file was open once. */
  readonly #seen = new Set<string>();

  constructor(parts: TenantFilesParts) {
    this.#parts = parts;
  }

  /** Undefined when the tenant has no file and `create` is false. @throws as TenantFile.open */
  open(tenant: string, options: { create: boolean; nowMs: number }): TenantFile | undefined {
    const open = this.#open.get(tenant);
    if (open !== undefined) {
      this.#open.delete(tenant);
      this.#open.set(tenant, open);
      return open;
    }
    const { dataDir, boot, openMax } = this.#parts;
    while (this.#open.size >= openMax && this.#closeOne());
    const file = TenantFile.open(dataDir, tenant, { ...options, boot });
    if (file === undefined) return undefined;
    this.#open.set(tenant, file);
    return this.#seen.has(tenant) ? file : this.#first(file, options);
  }

  /** Keeps an open file open, past the bound if need be. */
  pin(tenant: string): void {
    this.#pinned.add(tenant);
  }

  unpin(tenant: string): void {
    this.#pinned.delete(tenant);
  }

  isPinned(tenant: string): boolean {
    return this.#pinned.has(tenant);
  }

  /** Another file will lie in its place: it is shown to `onFirst` again. */
  forget(tenant: string): void {
    this.#seen.delete(tenant);
  }

  get openCount(): number {
    return this.#open.size;
  }

  isOpen(tenant: string): boolean {
    return this.#open.has(tenant);
  }

  /** The last connection of a file moves its WAL into it as it closes; nothing is lost where that fails. */
  close(tenant: string): void {
    const file = this.#open.get(tenant);
    this.#open.delete(tenant);
    file?.close();
  }

  /** After an error, when closing may fail as well: the connection is given up either way. */
  giveUp(tenant: string): void {
    try {
      this.close(tenant);
    } catch (error) {
      this.#parts.log.warn({ tenant, err: error }, 'a tenant file did not close cleanly');
    }
  }

  closeAll(): void {
    for (const tenant of this.#open.keys()) this.close(tenant);
  }

  #closeOne(): boolean {
    for (const tenant of this.#open.keys()) {
      if (this.#pinned.has(tenant)) continue;
      this.close(tenant);
      return true;
    }
    return false;
  }

  #first(file: TenantFile, options: { create: boolean; nowMs: number }): TenantFile | undefined {
    const { tenant } = file;
    this.#seen.add(tenant);
    try {
      this.#parts.onFirst(file);
      return file;
    } catch (error) {
      this.#parts.log.warn({ tenant, err: error }, 'sessions of a former process stay open in the records of a tenant');
      this.giveUp(tenant);
      return this.open(tenant, options);
    }
  }
}

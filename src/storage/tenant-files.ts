/**
 * The tenant files that are open, the longest unused first. Each costs three descriptors, so that their number is bounded.
 */
import { TenantFile } from './tenant-file.ts';

export class TenantFiles {
  readonly #dataDir: string;
  readonly #openMax: number;
  readonly #open = new Map<string, TenantFile>();

  constructor(dataDir: string, openMax: number) {
    this.#dataDir = dataDir;
    this.#openMax = openMax;
  }

  /** Undefined when the tenant has no file and `create` is false. @throws as TenantFile.open */
  open(tenant: string, options: { create: boolean; nowMs: number }): TenantFile | undefined {
    const open = this.#open.get(tenant);
    if (open !== undefined) {
      this.#open.delete(tenant);
      this.#open.set(tenant, open);
      return open;
    }
    while (this.#open.size >= this.#openMax) this.close(this.#open.keys().next().value!);
    const file = TenantFile.open(this.#dataDir, tenant, options);
    if (file !== undefined) this.#open.set(tenant, file);
    return file;
  }

  /** The last connection of a file moves its WAL into it as it closes; nothing is lost where that fails. */
  close(tenant: string): void {
    const file = this.#open.get(tenant);
    this.#open.delete(tenant);
    file?.close();
  }

  closeAll(): void {
    for (const tenant of this.#open.keys()) this.close(tenant);
  }
}

/**
 * Who must not come in although the token is good: the list in AUTH_REVOKED_FILE.
 *
 * Read once at the start, where a bad list is an error, and looked at again by the gateway's second hand. A file that
 * turned bad or vanished leaves the last good list in force and is told once: neither a typo nor a volume that is being
 * mounted anew lets anybody back in. Questions are two look-ups in sets, asked when a token is verified and once per second
 * for those who are in, never per call.
 */
import type { BigIntStats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { parseRevoked, revokedBytesMax } from '../host/config-revoked.ts';
import type { Logger } from '../host/log.ts';
import type { Principal } from './auth.ts';

type Subject = Pick<Principal, 'tenant' | 'userId' | 'tokenId'>;

export class Revocations {
  readonly #path: string;
  readonly #log: Logger;
  #tokens: ReadonlySet<string> = new Set();
  #subjects: ReadonlySet<string> = new Set();
  /** Which version of the file was read last, good or bad. */
  #seen = '';
  /** What is wrong with the file, as it was told; empty when nothing is. */
  #problem = '';
  #looking = false;

  private constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  /** @throws Error in one line when the list cannot be used */
  static async open(path: string, log: Logger): Promise<Revocations> {
    const revocations = new Revocations(path, log);
    const problem = await revocations.#read();
    if (problem !== '') throw new Error(`AUTH_REVOKED_FILE: ${problem}`);
    return revocations;
  }

  has({ tenant, userId, tokenId }: Subject): boolean {
    if (tokenId !== undefined && this.#tokens.has(tokenId)) return true;
    return userId !== null && this.#subjects.size > 0 && this.#subjects.has(`${tenant}/${userId}`);
  }

  /** Reads the file again if it is another one than before. Never throws; a look that takes longer than a second is the only one. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const before = this.#problem;
    this.#problem = await this.#read();
    this.#looking = false;
    if (this.#problem === before) return;
    if (this.#problem === '') this.#log.info(this.#counts(), 'the list of revoked tokens is good again');
    else
      this.#log.warn({ problem: this.#problem }, 'the list of revoked tokens cannot be used; the last good one stays');
  }

  /** What is wrong with the file now, in words that a person can act on; empty when nothing is. */
  async #read(): Promise<string> {
    try {
      const version = versionOf(await stat(this.#path, { bigint: true }));
      if (version === this.#seen) return this.#problem;
      const text = await this.#text();
      this.#seen = version;
      const parsed = parseRevoked(text);
      if ('problem' in parsed) return `"${this.#path}" ${parsed.problem}`;
      this.#tokens = new Set(parsed.value.jti);
      this.#subjects = new Set(parsed.value.sub);
      this.#log.debug(this.#counts(), 'read the list of revoked tokens');
      return '';
    } catch (error) {
      this.#seen = '';
      const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
      return `"${this.#path}" cannot be read${code}`;
    }
  }

  async #text(): Promise<string> {
    const { size } = await stat(this.#path);
    // What is too long is not read, and the parser says why.
    return size > revokedBytesMax ? ' '.repeat(revokedBytesMax + 1) : await readFile(this.#path, 'utf8');
  }

  #counts(): { tokens: number; subjects: number } {
    return { tokens: this.#tokens.size, subjects: this.#subjects.size };
  }
}

/** Another file, or other content. Volumes of secrets are exchanged by a link, so the inode counts. */
function versionOf({ dev, ino, size, mtimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs].join();
}

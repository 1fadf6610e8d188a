/**
 * Counts which call was running when a shard died. The third time within a minute it is closed off for good: written down,
 * and refused by every gateway before it reaches a shard.
 */
import { unwatchFile, watchFile } from 'node:fs';
import type { Logger } from '../host/log.ts';
import { type PoisonCall, poisonPath, readPoison, writePoison } from '../storage/poison-file.ts';

const crashesMax = 3;
const windowMs = 60_000;
/** Calls remembered that killed once or twice. */
const suspectsMax = 1000;
const watchMs = 1000;

export class CrashCount {
  readonly #dataDir: string;
  readonly #log: Logger;
  readonly #publish: (fingerprints: readonly string[]) => void;
  readonly #crashesMs = new Map<string, number[]>();
  /** The list that is in force. */
  #told: readonly PoisonCall[] = [];

  /** `publish` is called with the whole list whenever it changes, also by `fermata quarantine release`. */
  constructor(dataDir: string, log: Logger, publish: (fingerprints: readonly string[]) => void) {
    this.#dataDir = dataDir;
    this.#log = log;
    this.#publish = publish;
  }

  /** @throws Error when the list cannot be read */
  start(): void {
    this.#tell(readPoison(this.#dataDir));
    watchFile(poisonPath(this.#dataDir), { interval: watchMs, persistent: false }, () => this.#reread());
  }

  stop(): void {
    unwatchFile(poisonPath(this.#dataDir));
  }

  /** Calls that are not to be run any more. */
  get fingerprints(): readonly string[] {
    return this.#told.map(({ fingerprint }) => fingerprint);
  }

  /** This call was running when its shard died. */
  crashed(call: Omit<PoisonCall, 'since'>, nowMs: number): void {
    const before = this.#crashesMs.get(call.fingerprint) ?? [];
    const recent = [...before.filter((atMs) => nowMs - atMs <= windowMs), nowMs];
    this.#crashesMs.delete(call.fingerprint);
    if (recent.length < crashesMax) {
      this.#crashesMs.set(call.fingerprint, recent);
      if (this.#crashesMs.size > suspectsMax) this.#crashesMs.delete(this.#crashesMs.keys().next().value!);
      return;
    }
    const { fingerprint, ...what } = call;
    this.#log.error(
      { fingerprint, ...what },
      `a call ended its shard ${crashesMax} times within a minute and is quarantined. Hint: mend the handler, then fermata quarantine release ${fingerprint}`,
    );
    const closed = { ...call, since: new Date(nowMs).toISOString() };
    try {
      const calls = [...readPoison(this.#dataDir), closed];
      writePoison(this.#dataDir, calls);
      this.#tell(calls);
    } catch (error) {
      // On a full disk: the shard must come back all the same, and without this call.
      this.#log.error(
        { err: error, fingerprint },
        'a quarantined call could not be written down; the next start forgets it',
      );
      this.#tell([...this.#told, closed]);
    }
  }

  #reread(): void {
    try {
      this.#tell(readPoison(this.#dataDir));
    } catch (error) {
      this.#log.error({ err: error }, 'the list of quarantined calls cannot be read; the one before stays in force');
    }
  }

  #tell(calls: readonly PoisonCall[]): void {
    this.#told = calls;
    this.#publish(this.fingerprints);
  }
}

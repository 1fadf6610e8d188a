/**
 * A clock that runs only while this process can see what others write. Silence of another node counts on it alone: who was
 * cut off, or was stopped in its tracks, has heard nothing from anybody and must not take them for dead.
 *
 * The proof of sight is the node's own renewal, come back through the watcher. Between two of them that lie no further apart
 * than `gapMsMax` time has passed; over a longer gap it has stood still.
 */
export class Observation {
  readonly #gapMsMax: number;
  #passedMs = 0;
  #sightMs: number | undefined;

  constructor(gapMsMax: number) {
    this.#gapMsMax = gapMsMax;
  }

  /** Milliseconds of sight until the last proof of it. */
  get passedMs(): number {
    return this.#passedMs;
  }

  /** A proof of sight. */
  see(nowMs: number): void {
    const sinceMs = nowMs - (this.#sightMs ?? nowMs);
    if (sinceMs <= this.#gapMsMax) this.#passedMs += sinceMs;
    this.#sightMs = nowMs;
  }

  /** What happens at this moment lies after the last proof, by as much as may still be proven. */
  at(nowMs: number): number {
    return this.#passedMs + Math.min(this.#gapMsMax, nowMs - (this.#sightMs ?? nowMs));
  }

  /** The connection is gone: time stands still until the next proof but one. */
  lose(): void {
    this.#sightMs = undefined;
  }
}

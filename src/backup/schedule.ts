/**
 * Backups that the server makes by itself: all tenants that changed since their newest base, every `intervalMs`, one after
 * the other; and what is known of how good the last ones were.
 *
 * A round begins when the last one is `intervalMs` old, also if that one was of a former process. One that fails is tried
 * again after a tenth of the interval, a minute at most. Alarm: no round was good for twice the interval.
 */
import type { Clock } from '../host/clock.ts';
import type { Logger } from '../host/log.ts';
import type { MadeBase } from './base-maker.ts';

export interface ScheduleParts {
  readonly intervalMs: number;
  /** When the newest base in the target began, milliseconds since the epoch; undefined when there is none. */
  readonly newest: () => Promise<number | undefined>;
  readonly tenants: () => Promise<readonly string[]>;
  /** Undefined when nothing changed. */
  readonly make: (tenant: string) => Promise<MadeBase | undefined>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface BackupHealth {
  /** ISO 8601: when the last round began that left every tenant with a good base; null before the first. */
  readonly lastGood: string | null;
  /** Seconds since then; null before the first. */
  readonly ageS: number | null;
  readonly alarm: boolean;
  /** Tenants that the last round left without a new base. */
  readonly failing: number;
}

const retryMsMax = 60_000;
/** A start has better things to do at first. */
const firstMsMin = 1000;

export class BackupSchedule {
  readonly #parts: ScheduleParts;
  readonly #startedMs: number;
  #lastGoodMs: number | undefined;
  #failing = 0;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> | undefined;
  #stopped = false;

  constructor(parts: ScheduleParts) {
    this.#parts = parts;
    this.#startedMs = parts.clock.now();
  }

  async start(): Promise<void> {
    const { newest, clock, intervalMs, log } = this.#parts;
    try {
      this.#lastGoodMs = await newest();
    } catch (error) {
      log.error({ err: error }, 'the backup target cannot be listed');
    }
    const dueMs = this.#lastGoodMs === undefined ? 0 : this.#lastGoodMs + intervalMs - clock.now();
    this.#wait(Math.min(intervalMs, Math.max(firstMsMin, dueMs)));
  }

  /** Settles when the tenant that is being copied is done; no other begins. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#round;
  }

  get health(): BackupHealth {
    const nowMs = this.#parts.clock.now();
    const goodMs = this.#lastGoodMs;
    return {
      lastGood: goodMs === undefined ? null : new Date(goodMs).toISOString(),
      ageS: goodMs === undefined ? null : Math.round((nowMs - goodMs) / 1000),
      alarm: nowMs - (goodMs ?? this.#startedMs) > 2 * this.#parts.intervalMs,
      failing: this.#failing,
    };
  }

  #wait(ms: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#round = this.#run();
    }, ms).unref();
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    const { tenants, make, clock, intervalMs, log } = this.#parts;
    const beganMs = clock.now();
    let made = 0;
    let failing = 0;
    try {
      for (const tenant of await tenants()) {
        if (this.#stopped) return;
        try {
          if ((await make(tenant)) !== undefined) made += 1;
        } catch (error) {
          failing += 1;
          log.error({ tenant, err: error }, 'a tenant could not be backed up; its former backups are as they were');
        }
      }
    } catch (error) {
      failing += 1;
      log.error({ err: error }, 'tenants could not be listed for a backup');
    }
    this.#failing = failing;
    if (failing === 0) this.#lastGoodMs = beganMs;
    log.info({ made, failing, ms: clock.now() - beganMs }, 'backups made');
    this.#wait(failing === 0 ? intervalMs : Math.min(retryMsMax, intervalMs / 10));
  }
}

/** How large a storm is. */
export interface StormSize {
  readonly clients: number;
  readonly stormMs: number;
  readonly kills: number;
  /** Between the faults of one connection, on average. */
  readonly faultMs: number;
  readonly stallMsMax: number;
  /** Between an answer and the next calls of one client: 0 to this. */
  readonly pauseMsMax: number;
  /** For which the server keeps a session without its client. */
  readonly graceMs: number;
  /** The clients' time runs so many times as fast as the clock, so that they notice a dead line within a short storm. */
  readonly speed: number;
}

export const fullStorm: StormSize = {
  clients: 50,
  stormMs: 60_000,
  kills: 5,
  faultMs: 6000,
  // Longer than a client waits: it has gone on when the rest arrives.
  stallMsMax: 20_000,
  pauseMsMax: 800,
  graceMs: 10_000,
  speed: 1,
};

export const shortStorm: StormSize = {
  clients: 12,
  stormMs: 10_000,
  kills: 3,
  faultMs: 1000,
  stallMsMax: 6000,
  pauseMsMax: 200,
  graceMs: 3000,
  speed: 4,
};

/** Enough for a planted bug to be found in. */
export const plantStorm: StormSize = { ...shortStorm, stormMs: 6000, kills: 2, graceMs: 1500, stallMsMax: 2000 };

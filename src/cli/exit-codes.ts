/** How the command ends, after sysexits.h where it has a word for it. Scripts rely on these; docs/cli.md explains each. */
export const exitCodes = {
  ok: 0,
  /** It did not work out, a check failed, or a stop was forced. */
  failed: 1,
  /** The command line was wrong. */
  usage: 64,
  /** A backup is damaged. */
  damaged: 65,
  /** The app module cannot be loaded. */
  noApp: 66,
  /** The port is in use. */
  portInUse: 69,
  /** NATS cannot be reached, or its streams are unusable. */
  natsUnavailable: 68,
  /** Another process has the lease of this node. */
  deposed: 75,
  /** A fault of Fermata's own. */
  internal: 70,
  /** The data directory is in use by another process, or cannot be created. */
  dataDirUnavailable: 73,
  /** The configuration was wrong. */
  config: 78,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

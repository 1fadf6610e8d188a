/**
 * Logging by pino: JSON lines on stdout, one per event, each with the thread that wrote it. Written synchronously, so
 * that the last line before a crash is there. On a terminal in development they are printed for people.
 *
 * Nothing here ever gets a token: callers pass names and numbers, and the fields below are removed if one slips in.
 */
import pino, { type Logger } from 'pino';
import pretty from 'pino-pretty';

export type { Logger } from 'pino';

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogOptions {
  readonly level: LogLevel;
  /** Human-readable lines instead of JSON. */
  readonly pretty: boolean;
}

/** A logger for one thread, such as `main`, `gateway-0`, `shard-1`, `keeper`. */
export function createLog(options: LogOptions, thread: string): Logger {
  const settings = {
    level: options.level,
    base: { thread },
    redact: {
      paths: ['token', 'authorization', 'secret', '*.token', '*.authorization', '*.secret'],
      censor: '[hidden]',
    },
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  if (!options.pretty) return pino(settings, pino.destination({ fd: 1, sync: true }));
  return pino(
    settings,
    pretty({ sync: true, ignore: 'pid,hostname,thread', translateTime: 'SYS:HH:MM:ss', colorize: true }),
  );
}

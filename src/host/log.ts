/**
 * Logging by pino: JSON lines on stdout, one per event, each with the thread that wrote it. Written synchronously, so
 * that the last line before a crash is there. On a terminal in development they are printed for people.
 *
 * Nothing here ever gets a token: callers pass names and numbers, and if one slips in it is removed, by the name of its
 * field or by its looks (`log-text.ts`). What is logged at which level, and what may flood it, is in docs/logs.md.
 */
import { createRequire } from 'node:module';
import pino, { type Logger } from 'pino';
import type { prettyFactory } from 'pino-pretty';
import { withMargin, withoutControls, withoutTokens } from './log-text.ts';

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
    redact: { paths: secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[hidden]' },
    timestamp: pino.stdTimeFunctions.isoTime,
  };
  const stdout = pino.destination({ fd: 1, sync: true });
  if (!options.pretty) return pino({ ...settings, hooks: { streamWrite: withoutTokens } }, stdout);
  const print = forPeople()({ ignore: 'pid,hostname,thread', translateTime: 'SYS:HH:MM:ss', colorize: true });
  const write = (line: string): void => {
    stdout.write(withMargin(print(withoutControls(withoutTokens(line)))));
  };
  return pino(settings, { write });
}

/** Loaded on a terminal alone: it has forty modules, and every thread has a log. */
function forPeople(): typeof prettyFactory {
  return (createRequire(import.meta.url)('pino-pretty') as { prettyFactory: typeof prettyFactory }).prettyFactory;
}

/** Fields that are hidden, at the top of a line and up to two levels down. */
const secretNames = ['token', 'resumeToken', 'authorization', 'cookie', 'secret', 'password'];

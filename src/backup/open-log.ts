/**
 * Whether a data directory's log is whole: `DATA_DIR/archived-to` names the target that every entry went to, and since when, as far as the
 * target has segments. A process that archives nothing, or to another target, or gives entries up, takes the file away
 * before it serves or forgets anything; the next one that archives then begins behind a gap. It comes back when the log
 * itself tells of the gap.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Clock } from '../host/clock.ts';
import { fsyncDirectory } from '../host/directory.ts';
import type { Logger } from '../host/log.ts';
import { writeWhole } from '../host/whole-file.ts';
import { look, tenantDirectory } from '../storage/paths.ts';
import { directoryTarget } from './directory-target.ts';
import { LogWriter } from './log-writer.ts';

export interface LogOptions {
  readonly dataDir: string;
  /** The target's directory. */
  readonly dir: string;
  readonly delayMs: number;
  readonly waitingCharsMax: number;
}

/** Before anything is recovered. */
export function openLog({ dataDir, dir, delayMs, waitingCharsMax }: LogOptions, clock: Clock, log: Logger): LogWriter {
  const target = directoryTarget(dir);
  const known = readMarker(dataDir);
  const wholeSinceMs = known?.target === target.name ? known.sinceMs : clock.now();
  noteTarget(dataDir, target.name, wholeSinceMs);
  return new LogWriter({
    target,
    delayMs,
    waitingCharsMax,
    clock,
    log,
    wholeSinceMs,
    hasPast: (tenant) => look(join(tenantDirectory(dataDir, tenant), 'tenant.db')) !== undefined,
    onGap(tenant, error) {
      noteGap(dataDir);
      log.error(
        { tenant, err: error },
        'the archived log of a tenant has a gap now: the backup target took too long. Hint: mend it, then make a backup',
      );
    },
    onTold() {
      try {
        noteTarget(dataDir, target.name, wholeSinceMs);
      } catch (error) {
        log.warn({ err: error }, 'the archived log is whole again, but the next start takes it for broken off');
      }
    },
  });
}

/** The target that the log of a directory is whole in; undefined when there is none. */
export function archivedTo(dataDir: string): string | undefined {
  return readMarker(dataDir)?.target;
}

function readMarker(dataDir: string): { readonly target: string; readonly sinceMs: number } | undefined {
  let text: string;
  try {
    text = readFileSync(markerOf(dataDir), 'utf8');
  } catch {
    return undefined;
  }
  const [target = '', since = ''] = text.split('\n');
  const sinceMs = Date.parse(since);
  return Number.isNaN(sinceMs) ? undefined : { target, sinceMs };
}

/** From now on there may be entries that no log has. */
export function noteGap(dataDir: string): void {
  if (look(markerOf(dataDir)) === undefined) return;
  rmSync(markerOf(dataDir), { force: true });
  fsyncDirectory(resolve(dataDir));
}

function noteTarget(dataDir: string, target: string, sinceMs: number): void {
  writeWhole(markerOf(dataDir), `${target}\n${new Date(sinceMs).toISOString()}\n`);
}

function markerOf(dataDir: string): string {
  return join(resolve(dataDir), 'archived-to');
}

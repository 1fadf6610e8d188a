/**
 * Closing off what failed a check: tenants whose file is damaged, journals nobody can read, entries with no place to go.
 *
 *     tenants/<tenant>/QUARANTINED        marker: why, when, where the file went. While it lies there, nothing opens.
 *     quarantine/<tenant>-<time>/         the damaged file with its sidecars, untouched
 *     quarantine/journal-<n>-<time>/      a journal that could not be read
 *     quarantine/held-entries.db          acknowledged entries of closed tenants and actors, in journal format
 *
 * Invariants: the marker is on disk before a file moves, so that no kill in between lets an empty file start in its
 * place · nothing is ever deleted here · an operator ends a quarantine by putting a sound file back and removing the marker,
 * and the process notices at its next start.
 */
import { readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import type { Clock } from '../host/clock.ts';
import { fsyncDirectory } from '../host/directory.ts';
import { writeWhole } from '../host/whole-file.ts';
import { HeldEntries } from './held-entries.ts';
import { dataPaths, look, makeDirectory, tenantDirectory } from './paths.ts';
import { sidecars } from './sqlite.ts';

export interface QuarantineMarker {
  readonly reason: string;
  /** ISO 8601. */
  readonly at: string;
  /** Below the data directory; undefined when there was no file to move. */
  readonly movedTo?: string;
}

const markerName = 'QUARANTINED';

/** A tenant's marker; undefined when the tenant is not closed off. */
export function readMarker(dataDir: string, tenant: string): QuarantineMarker | undefined {
  const path = join(tenantDirectory(dataDir, tenant), markerName);
  if (look(path) === undefined) return undefined;
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as QuarantineMarker;
  } catch {
    // Whatever stands in it: the marker's being there is what counts.
    return { reason: 'the marker cannot be read', at: '' };
  }
}

export class Quarantine {
  readonly #dataDir: string;
  readonly #clock: Clock;
  /** Tenants known to be closed (a reason) or looked up and open (undefined). */
  readonly #tenants = new Map<string, string | undefined>();
  readonly #held: HeldEntries;

  constructor(dataDir: string, clock: Clock) {
    this.#dataDir = dataDir;
    this.#clock = clock;
    this.#held = new HeldEntries(join(dataPaths(dataDir).quarantine, 'held-entries.db'), clock);
  }

  /** Why a tenant is closed off; undefined when it is not. */
  reason(tenant: string): string | undefined {
    if (!this.#tenants.has(tenant)) this.#tenants.set(tenant, readMarker(this.#dataDir, tenant)?.reason);
    return this.#tenants.get(tenant);
  }

  /**
   * Closes a tenant off and moves its file aside. Nobody may have the file open. From the first line on the tenant is
   * closed for this process, also when writing the marker fails; then hold() tries again.
   */
  closeTenant(tenant: string, reason: string): void {
    this.#tenants.set(tenant, reason);
    const directory = tenantDirectory(this.#dataDir, tenant);
    if (look(join(directory, markerName)) !== undefined) return;
    makeDirectory(directory);
    const names = ['tenant.db', ...sidecars.map((suffix) => `tenant.db${suffix}`)].filter(
      (name) => look(join(directory, name)) !== undefined,
    );
    const aside = this.placeFor(tenant);
    const marker: QuarantineMarker = {
      reason,
      at: this.#now(),
      ...(names.length === 0 ? {} : { movedTo: relative(this.#dataDir, aside) }),
    };
    writeWhole(join(directory, markerName), `${JSON.stringify(marker)}\n`);
    this.#move(directory, names, aside);
  }

  /** Moves a journal, or the file of spilled entries, that nobody has open, with its sidecars. @returns where it lies now */
  closeJournal(path: string): string {
    const name = basename(path);
    const aside = this.placeFor(`journal-${basename(path, '.db')}`);
    const directory = join(path, '..');
    // The mark last: while it lies in its place, a start finds the journal damaged again and ends the move.
    const names = ['-wal', '-shm', '', '-mark']
      .map((suffix) => name + suffix)
      .filter((each) => look(join(directory, each)) !== undefined);
    this.#move(directory, names, aside);
    return aside;
  }

  /** Keeps entries of something closed off. They are on disk when it returns. @throws CommitError, SqliteError */
  hold(tenant: string, entries: readonly string[]): void {
    const reason = this.#tenants.get(tenant);
    if (reason !== undefined) this.closeTenant(tenant, reason);
    this.#held.hold(tenant, entries);
  }

  /** A sound file lies in the tenant's place. What was held and moved aside stays where it is. */
  reopen(tenant: string): void {
    const directory = tenantDirectory(this.#dataDir, tenant);
    rmSync(join(directory, markerName), { force: true });
    fsyncDirectory(directory);
    this.#tenants.delete(tenant);
  }

  /** Another directory lies in the tenant's place. */
  lookAgain(tenant: string): void {
    this.#tenants.delete(tenant);
  }

  close(): void {
    this.#held.close();
  }

  #move(directory: string, names: readonly string[], aside: string): void {
    if (names.length === 0) return;
    makeDirectory(aside);
    for (const name of names) renameSync(join(directory, name), join(aside, name));
    fsyncDirectory(aside);
    fsyncDirectory(directory);
  }

  /** A directory of the quarantine that is not there yet. */
  placeFor(name: string): string {
    const stem = join(dataPaths(this.#dataDir).quarantine, `${name}-${this.#now().replaceAll(/[-:]|\.\d+/g, '')}`);
    let place = stem;
    for (let n = 2; look(place) !== undefined; n += 1) place = `${stem}-${n}`;
    return place;
  }

  #now(): string {
    return new Date(this.#clock.now()).toISOString();
  }
}

/**
 * Where the backup rounds take place: one server that archives its log, what it backs up to (a disk of its own), writers,
 * and the commands that people type.
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BaseClient } from '../../support/base-client.ts';
import { childEnv, command, root, ServerProcess } from '../../support/server.ts';
import { mint } from '../../support/token.ts';
import { eventually } from '../../support/wait.ts';
import type { SeededRandom } from '../seeded-random.ts';
import { booksApp, serveArgs } from './reading.ts';
import { SmallDisk } from './small-disk.ts';
import { Writers } from './writers.ts';

export interface SiteOptions {
  readonly dataDir: string;
  readonly random: SeededRandom;
  readonly plant: string | undefined;
  /** Megabytes that each tenant has beside its books. */
  readonly hoardMb: number;
  /** At the same time, for each tenant. */
  readonly writers: number;
}

export interface CommandEnd {
  /** Null when it was killed. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Base {
  readonly tenant: string;
  /** Path without ending. */
  readonly path: string;
  readonly beganMs: number;
  readonly finishedMs: number;
  readonly sha256: string;
}

export const tenants = ['acme', 'bolt', 'crux'];
const hoardChars = 50_000;
const diskMb = 768;
/** A record is in the archived log when records so much younger are there: shards hand theirs over at their own pace. */
const marginMs = 300;
const archivedMsMax = 20_000;
const commandMsMax = 60_000;

export class BackupSite {
  readonly writers: Writers;
  readonly disk: SmallDisk;
  readonly readyMs: number[] = [];
  /** Instants that were restored and compared; books of them for which one content only was right. */
  instants = 0;
  exact = 0;
  server: ServerProcess;
  readonly #options: SiteOptions;
  /** Since when a tenant's log is without a gap. */
  readonly #wholeMs = new Map<string, number>();
  /** Spans in which nobody knows on which side of a restore a call was. */
  readonly #blurred: { tenant: string; fromMs: number; toMs: number }[] = [];

  static async open(options: SiteOptions): Promise<BackupSite> {
    const site = new BackupSite(options);
    try {
      await site.server.ready();
      for (const tenant of tenants) await site.#hoard(tenant);
      site.writers.start(site.server.address);
    } catch (error) {
      await site.close();
      throw new Error(`the server did not come up:\n${site.server.output.slice(-3000)}`, { cause: error });
    }
    return site;
  }

  private constructor(options: SiteOptions) {
    this.#options = options;
    this.disk = new SmallDisk(join(options.dataDir, 'disk'), diskMb);
    this.writers = new Writers(tenants, options.writers, options.random);
    this.server = this.#launch();
  }

  /** Where the server archives to. */
  get target(): string {
    return join(this.disk.path, 'backups');
  }

  get dataDir(): string {
    return join(this.#options.dataDir, 'data');
  }

  /** Starts a command; it can be killed before it ends. */
  launch(
    words: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): { end: Promise<CommandEnd>; kill9: () => void } {
    const child = spawn(process.execPath, [command, ...words], {
      cwd: root,
      env: childEnv({ DATA_DIR: this.dataDir, BACKUP_DIR: this.target, ...env }),
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: commandMsMax,
    });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const end = new Promise<CommandEnd>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, stdout, stderr }));
    });
    return { end, kill9: () => child.kill('SIGKILL') };
  }

  run(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CommandEnd> {
    return this.launch(words, env).end;
  }

  /** A new place that does not exist yet. */
  place(): string {
    return join(mkdtempSync(join(this.#options.dataDir, 'place-')), 'data');
  }

  remove(place: string): void {
    rmSync(dirname(place), { recursive: true, force: true });
  }

  /** Bases with a manifest, oldest first. */
  bases(tenant: string, target = this.target): Base[] {
    return list(join(target, tenant, 'base'))
      .filter((name) => name.endsWith('.json'))
      .flatMap((name) => {
        try {
          const path = join(target, tenant, 'base', name);
          const { began, finished, sha256 } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>;
          const times = { beganMs: Date.parse(began!), finishedMs: Date.parse(finished!) };
          return [{ tenant, path: path.slice(0, -'.json'.length), ...times, sha256: sha256! }];
        } catch {
          // The retention was quicker.
          return [];
        }
      });
  }

  /** A target that holds this base and nothing else: no log. */
  baseAlone({ tenant, path }: Base): string {
    const alone = this.place();
    mkdirSync(join(alone, tenant, 'base'), { recursive: true });
    for (const ending of ['.db', '.json'])
      cpSync(`${path}${ending}`, join(alone, tenant, 'base', basename(path) + ending));
    return alone;
  }

  /** The first instant to which a tenant can be restored. */
  sinceMs(tenant: string): number {
    const fromBase = this.bases(tenant)[0]?.finishedMs ?? Infinity;
    const hasAll = list(join(this.target, tenant, 'log')).some((name) => name.startsWith('00000001.'));
    const fromLog = hasAll ? this.writers.firstMs(tenant) : Infinity;
    return Math.max(Math.min(fromBase, fromLog), this.#wholeMs.get(tenant) ?? 0);
  }

  /** A clear instant between then and now; undefined when there is none. */
  instant(tenant: string, sinceMs = this.sinceMs(tenant)): number | undefined {
    const { random } = this.#options;
    for (let tries = 0; tries < 50; tries += 1) {
      const atMs = Math.floor(sinceMs + random.next() * (Date.now() - sinceMs));
      const isClear = !this.#blurred.some((span) => span.tenant === tenant && span.fromMs <= atMs && atMs <= span.toMs);
      if (isClear && Number.isFinite(atMs)) return atMs;
    }
    return undefined;
  }

  blur(tenant: string, fromMs: number, toMs: number): void {
    this.#blurred.push({ tenant, fromMs, toMs });
  }

  /** The tenant's log has a gap that ends here. */
  wholeSince(tenant: string, ms: number): void {
    this.#wholeMs.set(tenant, ms);
  }

  /** Settles when the log has everything that was committed by then. @throws Error when it does not come so far */
  async archived(tenant: string, atMs: number): Promise<void> {
    await eventually(
      `the log of ${tenant} as of ${iso(atMs)}`,
      () => this.#logEndMs(tenant) > atMs + marginMs,
      archivedMsMax,
    );
  }

  /** Kills the server and starts it again on the same data, when `meanwhile` is over; the writers rest from then on. */
  async killAndStart(meanwhile?: Promise<unknown>): Promise<void> {
    await this.server.kill9();
    await this.writers.stop();
    await meanwhile;
    this.server = this.#launch();
    await this.server.ready();
    this.readyMs.push(performance.now() - this.server.startedMs);
  }

  /** `keep`: what was backed up stays, to look at it; otherwise it goes with its disk. */
  async close(keep = false): Promise<void> {
    await this.server.kill9();
    await this.writers.stop();
    if (keep) cpSync(this.target, join(this.#options.dataDir, 'backups'), { recursive: true });
    this.disk.unmount();
  }

  #launch(): ServerProcess {
    const { plant } = this.#options;
    return new ServerProcess({
      app: booksApp,
      dataDir: this.dataDir,
      args: serveArgs,
      env: { BACKUP_INTERVAL: '1h', BACKUP_DIR: this.target },
      ...(plant === undefined ? {} : { preload: plant }),
    });
  }

  /** When the last record of its newest segment was committed: each is a line of checksum, milliseconds, entry. */
  #logEndMs(tenant: string): number {
    const folder = join(this.target, tenant, 'log');
    const newest = list(folder).at(-1);
    if (newest === undefined) return 0;
    const last = readFileSync(join(folder, newest), 'latin1').trimEnd().split('\n').at(-1)!;
    // 0 for a header alone.
    return Number(/^[0-9a-f]{8}\t(\d+)\t/.exec(last)?.[1] ?? 0);
  }

  async #hoard(tenant: string): Promise<void> {
    const client = await BaseClient.connect(this.server.address, {
      token: await mint({ tenant, sub: 'hoarder' }),
      v1: true,
    });
    const times = Math.ceil((this.#options.hoardMb * 1_000_000) / hoardChars);
    for (let n = 0; n < times; n += 1) await client.rpc('hoard', `h${n}`, 'keep', { text: this.#letters(hoardChars) });
    await client.close();
  }

  #letters(chars: number): string {
    let text = '';
    while (text.length < chars) text += this.#options.random.below(2 ** 31).toString(36);
    return text;
  }
}

export function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** Empty when there is no such directory. */
export function list(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

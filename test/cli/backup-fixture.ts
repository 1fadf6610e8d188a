/** The commands about backups over hand-made operations, and backups made of real files without a server. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { backupCommand } from '../../src/cli/backup-command.ts';
import type { Screen } from '../../src/cli/bar.ts';
import { runCommandLine } from '../../src/cli/command-line.ts';
import type { DataOperations, SwapRequest } from '../../src/cli/data-operations.ts';
import { restoreCommand } from '../../src/cli/restore-command.ts';
import { directoryTarget } from '../../src/backup/directory-target.ts';
import { digest } from '../../src/backup/digest.ts';
import { encodeManifest } from '../../src/backup/manifest.ts';
import { baseName, segmentName } from '../../src/backup/names.ts';
import { encodeHeader, encodeRecord, type SegmentHeader } from '../../src/backup/segment.ts';
import { verifyBase } from '../../src/backup/verify.ts';
import { systemClock } from '../../src/host/clock.ts';
import { createLog } from '../../src/host/log.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { KeeperCore } from '../../src/storage/keeper.ts';
import { packRow } from '../../src/storage/journal-row.ts';
import type { Ended } from './command-fixture.ts';

/** Runs `fermata backup` or `fermata restore` with `operations` in place of a server or a directory. */
export async function withOperations(
  words: readonly string[],
  operations: Partial<DataOperations>,
  { env = {}, screen }: { env?: Record<string, string>; screen?: Screen } = {},
): Promise<Ended & { readonly closed: number }> {
  const out: string[] = [];
  const err: string[] = [];
  let closed = 0;
  const refused = async (): Promise<never> => {
    throw new Error('nobody should have asked for this');
  };
  const open = async () => ({
    backup: refused,
    swap: refused,
    ...operations,
    close: async () => void closed++,
  });
  const terminal = {
    out: (text: string) => out.push(text),
    err: (text: string) => err.push(text),
    isTty: false,
    screen,
  };
  const known = [backupCommand(open), restoreCommand(open)];
  const exitCode = await runCommandLine(words, env, terminal, known);
  return { exitCode, out: out.join('\n'), err: err.join('\n'), closed };
}

/** A `swap` that remembers what it was asked, and looks at the file while it is there. */
export function rememberingSwap(look: (request: SwapRequest) => unknown = () => undefined) {
  const asked: SwapRequest[] = [];
  const seen: unknown[] = [];
  const swap = async (request: SwapRequest) => {
    asked.push(request);
    seen.push(look(request));
    return request.actor === undefined ? { movedTo: '/data/quarantine/aside' } : {};
  };
  return { asked, seen, swap };
}

const log = createLog({ level: 'silent', pretty: false }, 'test');

/** Gives a tenant counters with these states, in its own file. */
export function storeTenant(dataDir: string, tenant: string, counters: Readonly<Record<string, number>>): void {
  mkdirSync(dataDir, { recursive: true });
  const core = new KeeperCore({ dataDir, limits: defaultLimits, log, clock: systemClock, boot: 'boot' });
  const entries = Object.entries(counters).map(([id, count]) => counterEntry(tenant, id, 1, count));
  const atMs = Date.now();
  core.committed(0, { journalSeq: 1, atMs, body: packRow(1, atMs, entries).body });
  core.flush();
  core.close();
}

function counterEntry(tenant: string, id: string, seq: number, count: number) {
  return {
    address: { tenant, type: 'counter', id },
    seq,
    version: 1,
    change: { kind: 'state' as const, text: JSON.stringify({ count }) },
    call: undefined,
    trail: undefined,
  };
}

/** Puts a tenant's file into a target as a base. @returns its name, without ending */
export async function putBase(dir: string, dataDir: string, tenant: string, beganMs: number, logFrom?: number) {
  const path = join(dataDir, 'tenants', tenant, 'tenant.db');
  const { sequence, rows, fileVersion } = verifyBase(path, tenant);
  const name = baseName(tenant, beganMs);
  const target = directoryTarget(dir);
  await target.put(`${name}.db`, path);
  const manifest = encodeManifest({
    format: 1,
    tenant,
    began: new Date(beganMs).toISOString(),
    finished: new Date(beganMs + 20).toISOString(),
    sequence,
    ...(logFrom === undefined ? {} : { logFrom }),
    ...(await digest(path)),
    rows,
    versions: { fermata: '0.1.0', sqlite: '3', file: fileVersion },
  });
  await target.putText(`${name}.json`, manifest);
  return name;
}

/** A segment with one record for each `[atMs, id, seq, count]`. */
export async function putSegment(
  dir: string,
  tenant: string,
  number: number,
  after: SegmentHeader['after'],
  records: readonly (readonly [atMs: number, id: string, seq: number, count: number])[],
  beganMs = (records[0]?.[0] ?? 0) - 1,
): Promise<void> {
  const began = new Date(beganMs).toISOString();
  const lines = records.map(([atMs, id, seq, count]) =>
    encodeRecord(atMs, packRow(1, atMs, [counterEntry(tenant, id, seq, count)]).body),
  );
  const text = [encodeHeader({ log: 1, tenant, number, began, after }), ...lines].join('');
  await directoryTarget(dir).append(segmentName(tenant, number), 0, Buffer.from(text));
}

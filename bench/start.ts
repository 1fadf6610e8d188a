/**
 * How long the shipped command takes from its start to `ready`, on what it may find in its data directory.
 *
 *     node bench/start.ts [--tenants 1000] [--journal-mb 100] [--rounds 3] [--json file]
 *
 *   empty directory · a file for each tenant after a clean stop · the same after kill -9 with a visitor in each ·
 *   a journal of so many MB after kill -9
 *
 * Directories are made by the command itself under load. For the journal its keeper is held back by two limits
 * (`keeperDelayMs`, `journalBytesMax`), so that the rows stay where they are; the start that is measured has the defaults.
 * Each round starts on a copy, and so with files in the page cache: a first start after boot also reads them from disk.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { WebSocket } from 'ws';
import { createClient } from '../src/client/client.ts';
import type start from './apps/start.ts';
import { makeFolder, removeFolder } from './children.ts';
import { describeMachine } from './machine.ts';
import { ownToken, StartedServer, type LogLine } from './started-server.ts';

const { values: flags } = parseArgs({
  options: {
    tenants: { type: 'string', default: '1000' },
    'journal-mb': { type: 'string', default: '100' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'string' },
    'data-root': { type: 'string', default: join(import.meta.dirname, '../data') },
  },
});
const tenants = Array.from({ length: Number(flags.tenants) }, (_, n) => `tenant-${n}`);
const rounds = Number(flags.rounds);
const journalBytes = Number(flags['journal-mb']) * 1_000_000;
const connectAtOnce = 50;
const writeAtOnce = 256;
const noteChars = 1000;
const backgroundMsMax = 120_000;
/** In which the keeper writes down who left. */
const settleMs = 5000;
const unhurried = ['--shutdown-timeout-ms', '60000'];
const heldBack = ['--limit', 'keeperDelayMs=3600000', '--limit', `journalBytesMax=${16 * journalBytes}`];

type Client = ReturnType<typeof createClient<typeof start>>;

interface Result {
  readonly what: string;
  readonly readyMs: number[];
  readonly backgroundMs: number[];
  readonly replays: LogLine[];
}

const folder = makeFolder(flags['data-root'], 'start-');
const results: Result[] = [];
let journalMb = 0;
try {
  results.push(await measure('an empty directory', undefined));
  const stopped = await fillTenants('stopped');
  results.push(await measure(`${tenants.length} tenant files, clean stop`, stopped));
  removeFolderIn(stopped);
  const killed = await fillTenants('killed');
  results.push(await measure(`${tenants.length} tenant files, kill -9, a visitor in each`, killed, true));
  removeFolderIn(killed);
  const journal = await fillJournal();
  journalMb = bytesOf(join(journal, 'journal')) / 1e6;
  results.push(await measure(`a journal of ${Math.round(journalMb)} MB, kill -9`, journal));
} finally {
  removeFolder(folder);
}
report();

async function measure(what: string, from: string | undefined, background = false): Promise<Result> {
  const result: Result = { what, readyMs: [], backgroundMs: [], replays: [] };
  for (let round = 1; round <= rounds; round += 1) {
    const dataDir = join(folder, 'measured');
    if (from !== undefined) cpSync(from, dataDir, { recursive: true });
    const server = new StartedServer(dataDir);
    try {
      const ready = await server.logged('ready');
      result.readyMs.push(ready.atMs);
      result.replays.push((await server.logged('journals replayed')).line);
      if (background) {
        const closed = await server.logged('what a former process left was closed', backgroundMsMax);
        result.backgroundMs.push(closed.atMs);
      }
    } finally {
      await server.end('SIGKILL');
      rmSync(dataDir, { recursive: true, force: true });
    }
    process.stderr.write(`${what}, round ${round}: ready after ${Math.round(result.readyMs.at(-1)!)} ms\n`);
  }
  return result;
}

/** A client of each tenant calls its room once; `killed`: while it is there. */
async function fillTenants(how: 'stopped' | 'killed'): Promise<string> {
  const dataDir = join(folder, how);
  const server = new StartedServer(dataDir, unhurried);
  const clients: Client[] = [];
  try {
    const address = (await server.logged('ready')).line['address'] as string;
    for (let at = 0; at < tenants.length; at += connectAtOnce) {
      await Promise.all(
        tenants.slice(at, at + connectAtOnce).map(async (tenant) => {
          const client = await connect(address, tenant);
          clients.push(client);
          await client.room('lobby').enter();
        }),
      );
    }
    await filesWritten(dataDir);
    if (how === 'stopped') {
      for (const { connection } of clients) connection.close();
      await new Promise((resolve) => setTimeout(resolve, settleMs));
      const exitCode = await server.end('SIGTERM');
      if (exitCode !== 0) throw new Error(`the stop was not clean: exit ${exitCode}`);
    }
  } finally {
    await server.end('SIGKILL');
    for (const { connection } of clients) connection.close();
  }
  return dataDir;
}

/** Notes of 1,000 characters, until they are as many bytes as asked for. */
async function fillJournal(): Promise<string> {
  const dataDir = join(folder, 'journal');
  const server = new StartedServer(dataDir, heldBack);
  const client = await connect((await server.logged('ready')).line['address'] as string, 'acme');
  let left = Math.ceil(journalBytes / noteChars);
  const write = async (slot: number): Promise<void> => {
    for (let n = 0; left > 0; n += 1) {
      left -= 1;
      await client.note(`note-${slot}-${n % 10}`).write({ text: String(left).padEnd(noteChars, 'x') });
    }
  };
  try {
    await Promise.all(Array.from({ length: writeAtOnce }, (_, slot) => write(slot)));
  } finally {
    await server.end('SIGKILL');
    client.connection.close();
  }
  return dataDir;
}

async function connect(address: string, tenant: string): Promise<Client> {
  const client = createClient<typeof start>({
    url: address.replace(/^http/, 'ws'),
    token: await ownToken(tenant),
    WebSocket,
  });
  await client.connection.ready;
  return client;
}

async function filesWritten(dataDir: string): Promise<void> {
  const isThere = (tenant: string): boolean => existsSync(join(dataDir, 'tenants', tenant, 'tenant.db'));
  while (!tenants.every(isThere)) await new Promise((resolve) => setTimeout(resolve, 100));
}

function bytesOf(directory: string): number {
  return readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0);
}

function removeFolderIn(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

function report(): void {
  const machine = describeMachine(flags['data-root']);
  const all = (values: readonly number[]): string => values.map((value) => Math.round(value)).join(', ');
  const replayed = ({ replays }: Result): string => {
    const rows = Number(replays[0]?.['rows'] ?? 0);
    if (rows === 0) return '';
    const times = replays.map(({ ms }) => Number(ms));
    const rate = (journalMb * 1000) / (times.reduce((sum, ms) => sum + ms, 0) / times.length);
    const ofJournal = replays.length > 0 && rows > tenants.length ? `, ${rate.toFixed(0)} MB/s` : '';
    return `${rows} rows in ${all(times)} ms${ofJournal}`;
  };
  const head = ['data directory', 'ready after ms, each round', 'replay', 'what was left closed after ms'];
  const rows = results.map((result) => [result.what, all(result.readyMs), replayed(result), all(result.backgroundMs)]);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  console.log(
    `${machine.cpu}, ${machine.cores} cores, ${machine.fileSystem}, fsync ${machine.fsyncMs.toFixed(2)} ms; ${machine.date.slice(0, 16)}, commit ${machine.commit}${machine.dirty ? ' with changes' : ''}\n`,
  );
  console.log([head, head.map(() => '---'), ...rows].map(line).join('\n'));
  if (flags.json === undefined) return;
  mkdirSync(dirname(flags.json), { recursive: true });
  writeFileSync(flags.json, `${JSON.stringify({ machine, flags, journalMb, results }, null, 1)}\n`);
}

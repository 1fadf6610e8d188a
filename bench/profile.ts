/**
 * Says where the time goes: Fermata under load, with V8's profiler in every thread.
 *
 *     node bench/profile.ts [--connections 50] [--pipelined 16] [--seconds 5] [--actor counter] [--tenants 1] [--keys none|arbitrary|numbered] [--top 25]
 *
 * Prints processor time per thread from /proc, then each thread's functions by self time, both of the measured window.
 * Profiling slows the server down: the shares count here, not the throughput.
 */
import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { callJob } from './call-job.ts';
import { makeFolder, removeFolder } from './children.ts';
import { readProfile, type ThreadProfile } from './cpu-profile.ts';
import type { Keys, LoadResult } from './load-job.ts';
import { runLoad } from './load-process.ts';
import { Servers } from './servers.ts';

const { values: flags } = parseArgs({
  options: {
    connections: { type: 'string', default: '50' },
    pipelined: { type: 'string', default: '16' },
    seconds: { type: 'string', default: '5' },
    actor: { type: 'string', default: 'counter' },
    tenants: { type: 'string', default: '1' },
    keys: { type: 'string', default: 'none' },
    top: { type: 'string', default: '25' },
    'data-root': { type: 'string', default: join(import.meta.dirname, '../data') },
  },
});

const profiles = makeFolder(tmpdir(), 'fermata-profile-');
const servers = new Servers(flags['data-root'], `--cpu-prof --cpu-prof-interval=500 --cpu-prof-dir=${profiles}`);
try {
  const result = await underLoad();
  printThreads(result);
  for (const [name, profile] of busiestFirst(result)) printProfile(name, profile, Number(flags.top));
} finally {
  await servers.stop();
  removeFolder(profiles);
}

/** The profiles are written when the server stops. */
async function underLoad(): Promise<LoadResult> {
  await servers.start(['fermata']);
  const result = await runLoad(
    await callJob(
      servers,
      {
        name: 'profile',
        server: 'fermata',
        connections: Number(flags.connections),
        pipelined: Number(flags.pipelined),
        tenants: Number(flags.tenants),
        keys: flags.keys as Keys,
        ...callOf(flags.actor),
      },
      { warmUpMs: 1500, measureMs: Number(flags.seconds) * 1000 },
    ),
  );
  await servers.stop();
  return result;
}

function callOf(actor: string) {
  if (actor === 'list') return { actor, method: 'push', input: { text: 'hello there' }, counts: undefined };
  if (actor === 'map') return { actor, method: 'set', input: { number: '00000000' }, counts: undefined };
  return { actor, method: 'add', input: { amount: 2 }, counts: 2 };
}

function printThreads({ calls, perSecond, errors, firstError, server, generator }: LoadResult): void {
  console.log(`${Math.round(perSecond)} calls/s with the profiler on, ${errors} errors ${firstError ?? ''}\n`);
  const line = (share: number, name: string): void =>
    console.log(`  ${percent(share)}  ${((share * 1e6) / perSecond).toFixed(2).padStart(6)} µs per call  ${name}`);
  console.log(`processor time in the window, share of one core (${calls} calls):`);
  for (const { name, share } of server.threads) line(share, name);
  line(server.share, 'server, all threads');
  line(generator.share, 'load generator');
}

function busiestFirst(window: LoadResult): [string, ThreadProfile][] {
  return readdirSync(profiles)
    .filter((name) => name.endsWith('.cpuprofile'))
    .map((name) => [name, readProfile(join(profiles, name), window)] as const)
    .filter((entry): entry is [string, ThreadProfile] => entry[1] !== undefined)
    .sort(([, a], [, b]) => a.idleShare - b.idleShare);
}

function printProfile(file: string, { functions, idleShare }: ThreadProfile, top: number): void {
  console.log(`\nthread ${file.split('.').at(-3)} (${threadOf(functions)}), ${percent(1 - idleShare)} not idle`);
  for (const { name, place, share } of functions.slice(0, top)) console.log(`  ${percent(share)}  ${name}  ${place}`);
  console.log('  by file:');
  for (const [file, share] of byFile(functions).slice(0, 12)) console.log(`  ${percent(share)}  ${file}`);
}

/** Native functions count for the file that called them. */
function byFile(functions: ThreadProfile['functions']): [string, number][] {
  const shares = new Map<string, number>();
  for (const { name, place, share } of functions) {
    const file = place === '' ? name : place.replace(/^native, from \S* ?/, '').replace(/:\d+$/, '');
    shares.set(file, (shares.get(file) ?? 0) + share);
  }
  return [...shares].sort(([, a], [, b]) => b - a);
}

/** Profiles do not say which thread they are of; what it ran does. */
function threadOf(functions: ThreadProfile['functions']): string {
  const rooms = [
    ['src/gateway/', 'gateway'],
    ['src/runtime/', 'shard'],
    ['src/storage/', 'keeper'],
  ] as const;
  return rooms.find(([place]) => functions.some((f) => f.place.startsWith(place)))?.[1] ?? 'main';
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1).padStart(5)} %`;
}

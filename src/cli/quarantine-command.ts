/**
 * `fermata quarantine`: what was closed off, and why; and the release of calls that ended their shard. Works beside a
 * running server, which sees a release within a second.
 *
 * Data that failed a check is never released: serving it again would mean serving what may be wrong. The refusal says
 * where the file lies and how a sound copy gets in its place.
 */
import { resolve } from 'node:path';
import { loadConfig } from '../host/config-load.ts';
import { didYouMean } from '../host/config-values.ts';
import type { ClosedActor, ClosedTenant } from '../storage/closed-off.ts';
import { look } from '../storage/paths.ts';
import { type PoisonCall, readPoison, writePoison } from '../storage/poison-file.ts';
import { CommandError } from './command-error.ts';
import { isOn, type Command, type Invocation, type Terminal } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { printable, readableTable } from './readable.ts';

type Closed = ClosedTenant | ClosedActor | ({ readonly kind: 'call'; readonly reason: string } & PoisonCall);

const callReason = 'ended its shard 3 times within a minute';

export const quarantineCommand: Command = {
  name: 'quarantine',
  usage: 'quarantine [list | release <fingerprint>]',
  summary: 'Show what is closed off and why; release a call.',
  about:
    'A call that ended its shard three times within a minute is closed off, and so are tenants and actors whose stored data failed a check. ' +
    '`list` shows all of them and changes nothing; files that no server has open are copied aside to be read. ' +
    '`release` lets a call run again; a running server notices within a second. Tenants and actors are not released but ' +
    'mended: see docs/operations.md.',
  examples: [
    ['fermata quarantine list', 'What is closed off, since when, why, and what to do about it.'],
    ['fermata quarantine list --json', 'For scripts.'],
    [
      'fermata quarantine release 0a1b2c3d4e5f60718293a4b5c6d7e8f9',
      'Let this call run again, after its handler was mended.',
    ],
  ],
  positionalsMax: 4,
  flags: [{ name: '--json', value: undefined, help: 'With list: JSON instead of a table.' }],
  settings: ['DATA_DIR', 'LOG_LEVEL'],
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const [name = 'list', ...words] = invocation.positionals;
  if (name !== 'list' && name !== 'release')
    throw usage(`quarantine knows no "${name}"${didYouMean(name, ['list', 'release'])}`);
  if (name === 'list' && words.length > 0) throw usage('quarantine list takes no further words');
  if (name === 'release' && words.length === 0) throw usage('quarantine release takes the fingerprint of a call');
  const { dataDir } = loadConfig(invocation, { names: quarantineCommand.settings }).config;
  if (look(dataDir) === undefined)
    throw failed(`there is no data directory ${dataDir}: name it with --data-dir or DATA_DIR`);
  if (name === 'list') return await list(dataDir, isOn(invocation, '--json'), invocation.terminal);
  return await release(dataDir, words, invocation.terminal);
}

async function list(dataDir: string, json: boolean, terminal: Terminal): Promise<number> {
  const { listClosedOff } = await import('../storage/closed-off.ts');
  const { closed, unread } = listClosedOff(dataDir);
  const calls = callsIn(dataDir).map((call) => ({ kind: 'call' as const, reason: callReason, ...call }));
  const all: Closed[] = [...calls, ...closed];
  if (json) terminal.out(printable(JSON.stringify(all, null, 2)));
  else if (all.length === 0) terminal.out(`nothing is quarantined in ${dataDir}`);
  else {
    const rows = all.map((each) => [each.kind, nameOf(each), each.since, each.reason, whatToDo(each)].map(printable));
    terminal.out(readableTable(['what', 'who', 'since', 'why', 'what to do'], rows));
  }
  for (const { tenant, reason } of unread) terminal.err(`fermata: tenant ${tenant} could not be read: ${reason}`);
  return unread.length === 0 ? exitCodes.ok : exitCodes.failed;
}

async function release(dataDir: string, words: readonly string[], terminal: Terminal): Promise<number> {
  const [fingerprint = ''] = words;
  const calls = callsIn(dataDir);
  const call = calls.find((each) => each.fingerprint === fingerprint);
  if (call === undefined || words.length > 1) throw await notReleased(dataDir, words);
  writePoison(
    dataDir,
    calls.filter((each) => each !== call),
  );
  const who = printable(nameOf({ kind: 'call', reason: callReason, ...call }));
  terminal.out(`released: ${who}. A running server lets it run again within a second.`);
  return exitCodes.ok;
}

/** Whoever wrote a tenant or an actor in place of a fingerprint learns what to do instead. */
async function notReleased(dataDir: string, words: readonly string[]): Promise<CommandError> {
  const { listClosedOff } = await import('../storage/closed-off.ts');
  const asked = words.join(' ').replaceAll('/', ' ');
  const { closed } = listClosedOff(dataDir);
  const found =
    closed.find((each) => nameOf(each).replaceAll('/', ' ') === asked) ??
    closed.find((each) => each.kind === 'tenant' && each.tenant === words[0]);
  if (found === undefined)
    return failed(
      `no call with the fingerprint "${words.join(' ')}" is quarantined`,
      'fermata quarantine list shows all of them.',
    );
  const { kind, tenant } = found;
  const place = resolve(dataDir, 'tenants', tenant);
  const moved =
    found.kind === 'tenant' && found.movedTo !== undefined
      ? `Its file lies in ${resolve(dataDir, found.movedTo)}. `
      : kind === 'actor'
        ? `What came for it since lies in ${resolve(dataDir, 'quarantine', 'held-entries.db')}. `
        : '';
  const marker = kind === 'tenant' ? `, remove ${place}/QUARANTINED` : '';
  return failed(
    `${kind} ${printable(nameOf(found))} cannot be released, because its stored data failed a check: ${found.reason}`,
    `${moved}To open it again: stop the server, put a sound copy of the tenant's file at ${place}/tenant.db${marker}, and start.`,
  );
}

function callsIn(dataDir: string): PoisonCall[] {
  try {
    return readPoison(dataDir);
  } catch (error) {
    throw failed(error instanceof Error ? error.message : String(error));
  }
}

function nameOf(closed: Closed): string {
  if (closed.kind === 'tenant') return closed.tenant;
  if (closed.kind === 'actor') return `${closed.tenant} ${closed.type}/${closed.id}`;
  const key = closed.key === '' ? '' : ` (key ${closed.key})`;
  return `${closed.tenant} ${closed.actor}/${closed.actorId} ${closed.method}${key}`;
}

function whatToDo(closed: Closed): string {
  if (closed.kind === 'call') return `mend its handler, then: fermata quarantine release ${closed.fingerprint}`;
  if (closed.kind === 'actor') return "put back a sound copy of the tenant's file";
  const moved = closed.movedTo === undefined ? '' : `; the damaged one lies in ${closed.movedTo}`;
  return `put back a sound copy of its file${moved}`;
}

function usage(message: string): CommandError {
  return new CommandError(message, {
    exitCode: exitCodes.usage,
    hint: `It is: fermata ${quarantineCommand.usage}`,
  });
}

function failed(message: string, hint?: string): CommandError {
  return new CommandError(message, { exitCode: exitCodes.failed, ...(hint === undefined ? {} : { hint }) });
}

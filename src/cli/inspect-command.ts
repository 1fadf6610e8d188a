/** `fermata inspect`: a look into the data directory, for people and for scripts. Changes nothing, also beside a running server. */
import { loadConfig } from '../host/config-load.ts';
import { didYouMean } from '../host/config-values.ts';
import { CommandError } from './command-error.ts';
import { isOn, type Command, type Invocation } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { printable, readableAge, readableBytes, readableTable } from './readable.ts';

type Inspect = typeof import('../storage/inspect.ts');

const actorsMax = 10_000;
const sessionsMax = 10_000;

/** What can be looked at, and the words each needs. */
const views = {
  tenants: { words: [], show: showTenants },
  actors: { words: ['<tenant>'], show: showActors },
  actor: { words: ['<tenant>', '<type>', '<id>'], show: showActor },
  sessions: { words: ['<tenant>'], show: showSessions },
} as const;

export const inspectCommand: Command = {
  name: 'inspect',
  usage: 'inspect [tenants | actors <tenant> | actor <tenant> <type> <id> | sessions <tenant>]',
  summary: 'Show what is stored: tenants, actors, one state, sessions.',
  about:
    'Reads the data directory and changes nothing. Shows what was acknowledged, also beside a running server and after a crash. ' +
    'Put -- in front of ids that begin with a dash.',
  examples: [
    ['fermata inspect', 'All tenants.'],
    ['fermata inspect actors acme', 'The actors of one.'],
    ['fermata inspect actor acme counter c1', 'One actor with its state.'],
    ['fermata inspect sessions acme', 'Who is connected, and who was.'],
    ['fermata inspect actor acme counter c1 --json', 'For scripts.'],
  ],
  positionalsMax: 4,
  flags: [{ name: '--json', value: undefined, help: 'JSON instead of a table.' }],
  settings: ['DATA_DIR', 'LOG_LEVEL'],
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const [name = 'tenants', ...words] = invocation.positionals;
  const view = Object.hasOwn(views, name) ? views[name as keyof typeof views] : undefined;
  if (view === undefined) {
    throw new CommandError(`inspect knows no "${name}"${didYouMean(name, Object.keys(views))}`, {
      exitCode: exitCodes.usage,
      hint: `It is: fermata ${inspectCommand.usage}`,
    });
  }
  if (words.length !== view.words.length) {
    throw new CommandError(`inspect ${name} takes ${view.words.join(' ') || 'no further words'}`, {
      exitCode: exitCodes.usage,
      hint: `For example: ${inspectCommand.examples.find(([line]) => line.startsWith(`fermata inspect ${name} `))?.[0] ?? 'fermata inspect'}`,
    });
  }
  const { config } = loadConfig(invocation, { names: inspectCommand.settings });
  const inspect = await import('../storage/inspect.ts');
  try {
    const { json, text } = view.show(inspect, config.dataDir, words);
    invocation.terminal.out(isOn(invocation, '--json') ? printable(JSON.stringify(json, null, 2)) : text);
    return exitCodes.ok;
  } catch (error) {
    // Absent, quarantined, damaged, or of a later version: told by storage in words for people.
    if (error instanceof Error && /^(Inspect|DamagedFile|NewerFile|Sqlite)Error$/.test(error.name)) {
      throw new CommandError(error.message, { exitCode: exitCodes.failed, cause: error });
    }
    throw error;
  }
}

interface Shown {
  readonly json: unknown;
  readonly text: string;
}

function showTenants(inspect: Inspect, dataDir: string): Shown {
  const tenants = inspect.listTenants(dataDir);
  if (tenants.length === 0) return { json: [], text: `there are no tenants in ${dataDir} yet` };
  const rows = tenants.map((row) => [row.tenant, readableBytes(row.bytes), row.quarantined ?? '']);
  return { json: tenants, text: readableTable(['tenant', 'size', heading(tenants)], rows) };
}

function showActors(inspect: Inspect, dataDir: string, [tenant = '']: readonly string[]): Shown {
  const actors = inspect.listActors(dataDir, tenant, actorsMax);
  if (actors.length === 0) return { json: [], text: `tenant ${tenant} has no actors yet` };
  const rows = actors.map((row) => [
    row.type,
    row.id,
    String(row.seq),
    readableBytes(row.bytes),
    age(row),
    row.quarantined ?? '',
  ]);
  const table = readableTable(['type', 'id', 'seq', 'state', 'written', heading(actors)], rows);
  return { json: actors, text: actors.length < actorsMax ? table : `${table}\n… the first ${actorsMax}` };
}

function showActor(inspect: Inspect, dataDir: string, [tenant = '', type = '', id = '']: readonly string[]): Shown {
  const detail = inspect.readActor(dataDir, tenant, type, id);
  const state: unknown = detail.state === undefined ? undefined : JSON.parse(detail.state);
  const facts = [
    ['tenant', tenant],
    ['type', type],
    ['id', id],
    ['seq', String(detail.seq)],
    ['version', String(detail.version)],
    ['size', readableBytes(detail.bytes)],
    ['written', age(detail)],
    ['stored outcomes', String(detail.outcomes)],
    ['visitors', String(detail.visitors)],
  ] as const;
  const lines = facts.map(([label, value]) => `${label.padEnd(16)} ${value}`);
  const body = state === undefined ? 'no state was stored' : printable(JSON.stringify(state, null, 2));
  return { json: { tenant, ...detail, state: state ?? null }, text: [...lines, '', body].join('\n') };
}

/** The newest first. Who asks for a table is told what a table can say; --json has all of each record. */
function showSessions(inspect: Inspect, dataDir: string, [tenant = '']: readonly string[]): Shown {
  const sessions = inspect.listSessions(dataDir, tenant, sessionsMax);
  if (sessions.length === 0) return { json: [], text: `tenant ${tenant} has no sessions on record` };
  const nowMs = Date.now();
  const rows = sessions.map((row) => [
    printable(row.clientId),
    printable(row.userId ?? ''),
    row.status,
    row.reason,
    readableAge(nowMs - row.connectedMs),
    readableAge(nowMs - row.seenMs),
  ]);
  const table = readableTable(['client', 'user', 'status', 'reason', 'connected', 'last seen'], rows);
  return { json: sessions, text: sessions.length < sessionsMax ? table : `${table}\n… the newest ${sessionsMax}` };
}

/** The last column has a name only when something stands in it. */
function heading(rows: readonly { readonly quarantined: string | undefined }[]): string {
  return rows.some((row) => row.quarantined !== undefined) ? 'quarantined' : '';
}

function age(row: { readonly readFrom: 'tenant file' | 'journal'; readonly updatedMs: number | undefined }): string {
  if (row.readFrom === 'journal') return 'just now (journal)';
  return row.updatedMs === undefined ? '' : readableAge(Date.now() - row.updatedMs);
}

/** Reads what `fermata restore` is asked for. Every mistake is told with what would be right. */
import { actorIdProblem, isName } from '../protocol/address.ts';
import { tenantGiven } from './backup-arguments.ts';
import { CommandError } from './command-error.ts';
import { flagValue, isOn, type Invocation } from './command.ts';
import type { ActorName } from './data-operations.ts';
import { exitCodes } from './exit-codes.ts';

export interface RestoreAsked {
  /** Whose backup. */
  readonly tenant: string;
  /** Whose place it takes: the same tenant, unless another was named. */
  readonly into: string;
  /** Milliseconds since the epoch; undefined: the newest there is. */
  readonly atMs: number | undefined;
  readonly actor: ActorName | undefined;
  readonly replace: boolean;
  readonly dryRun: boolean;
}

/** @throws CommandError */
export function readRestoreAsked(invocation: Invocation): RestoreAsked {
  const tenant = tenantGiven(invocation, '--tenant');
  if (tenant === undefined)
    throw usage('restore needs --tenant', 'For example: fermata restore --tenant acme --dry-run');
  const into = tenantGiven(invocation, '--as') ?? tenant;
  const at = flagValue(invocation, '--at');
  const actor = flagValue(invocation, '--actor');
  if (actor !== undefined && into !== tenant)
    throw usage(
      '--actor and --as do not go together: one actor is mended in its own tenant',
      'Restore all of it with --as and look at the actor there, or leave --as out.',
    );
  return {
    tenant,
    into,
    atMs: at === undefined ? undefined : instant(at),
    actor: actor === undefined ? undefined : actorName(actor),
    replace: isOn(invocation, '--replace'),
    dryRun: isOn(invocation, '--dry-run'),
  };
}

const isoPattern = /^(\d{4}-\d{2}-\d{2})T\d{2}:\d{2}(:\d{2}([.,]\d{1,3})?)?(Z|[+-]\d{2}:\d{2})$/;

/** A time without a zone would mean another second on each machine. */
function instant(text: string): number {
  const day = isoPattern.exec(text)?.[1];
  const ms = day === undefined ? Number.NaN : Date.parse(text.replace(',', '.'));
  // Date.parse takes 30 February for 2 March.
  const dayMs = Date.parse(`${day}T00:00:00Z`);
  if (!Number.isNaN(ms) && !Number.isNaN(dayMs) && new Date(dayMs).toISOString().startsWith(day ?? '')) return ms;
  throw usage(
    `--at: "${text}" is no time`,
    'Write date, time and zone, such as 2026-11-21T10:15:00Z or 2026-11-21T11:15:00+01:00.',
  );
}

/** The id is anybody's text and may hold a stroke itself. */
function actorName(text: string): ActorName {
  const stroke = text.indexOf('/');
  const type = text.slice(0, Math.max(0, stroke));
  const id = text.slice(stroke + 1);
  if (isName(type) && actorIdProblem(id) === undefined) return { type, id };
  throw usage(`--actor: "${text}" is no actor`, 'Write its type and id, such as counter/c1.');
}

function usage(message: string, hint: string): CommandError {
  return new CommandError(message, { exitCode: exitCodes.usage, hint });
}

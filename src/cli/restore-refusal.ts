/** What is said when a restore meets what is there already: the same words before the work and at its end. */
import { CommandError } from './command-error.ts';
import type { ActorName } from './data-operations.ts';
import { exitCodes } from './exit-codes.ts';
import { printable } from './readable.ts';

export interface AlreadyThere {
  readonly tenant: string;
  readonly actor?: ActorName | undefined;
  /** Why it is closed off; undefined when it is not. */
  readonly quarantined?: string | undefined;
}

export function alreadyThere({ tenant, actor, quarantined }: AlreadyThere): CommandError {
  const what =
    actor === undefined ? `tenant ${tenant}` : `actor ${printable(`${actor.type}/${actor.id}`)} of ${tenant}`;
  const aside = actor === undefined ? 'its present file is kept aside' : 'only this actor is replaced';
  const beside = actor === undefined ? '; --as <tenant> restores it beside this one' : '';
  if (quarantined === undefined)
    return new CommandError(`${what} exists already`, {
      exitCode: exitCodes.failed,
      hint: `With --replace the backup takes its place (${aside})${beside}.`,
    });
  return new CommandError(`${what} exists already, and is quarantined: ${printable(quarantined)}`, {
    exitCode: exitCodes.failed,
    hint: `With --replace the backup takes its place and the quarantine ends (${aside})${beside}.`,
  });
}

/** There is no place for one actor. */
export function tenantAbsent(tenant: string): CommandError {
  return new CommandError(`tenant ${tenant} is not there, so that no single actor of it can be mended`, {
    exitCode: exitCodes.failed,
    hint: 'Leave --actor out to restore the tenant.',
  });
}

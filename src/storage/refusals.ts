/** What the keeper answers when it cannot answer: one place for the words. */
import type { Address } from '../protocol/address.ts';
import { AppError } from '../protocol/errors.ts';
import { NewerFileError } from './migrations.ts';

export function quarantinedActor({ type, id }: Address): AppError {
  return new AppError('QUARANTINED', `Actor "${type}/${id}" is closed: its stored data failed a check`);
}

export function quarantinedTenant(tenant: string): AppError {
  return new AppError('QUARANTINED', `Tenant "${tenant}" is closed: its stored data failed a check`);
}

export function unreadableTenant(tenant: string, cause: unknown): AppError {
  if (cause instanceof NewerFileError)
    return new AppError('QUARANTINED', `Tenant "${tenant}" was written by a newer version of the server`, { cause });
  return new AppError('READ_ONLY', `The data of tenant "${tenant}" cannot be read at the moment`, {
    retryAfterMs: 1000,
    cause,
  });
}

/** What asks now came too late: its slot is another process's, or on the way there. */
export function absentTenant(tenant: string): AppError {
  return new AppError('OVERLOADED', `Tenant "${tenant}" is being moved to another process`, { retryAfterMs: 250 });
}

/** For a mistake of the program's own: this question fails, not every tenant. */
export function unanswered(cause: unknown): AppError {
  return new AppError('INTERNAL', 'The keeper could not answer; the log says why', { cause });
}

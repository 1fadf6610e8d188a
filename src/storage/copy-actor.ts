/**
 * One actor from a tenant file into another, with everything that it left beside its state. The tables do it, so that each
 * row is checked on the way out, and gets a CRC with the other tenant's name on the way in.
 *
 * Invariants: what was there of the actor is gone afterwards, also where it was newer, and so is the note that it is closed
 * off · one transaction, so that after an error nothing has changed. The numbers of the actor's streams may fall: the owner
 * gives the file another epoch.
 */
import type { TenantFile } from './tenant-file.ts';

/** @throws CommitError, its cause a DamagedActorError when a row of `from` fails its check */
export function copyActor(from: TenantFile, to: TenantFile, type: string, id: string): void {
  copyActors(from, to, [{ type, id }]);
}

/** The same for some, in one transaction. */
export function copyActors(
  from: TenantFile,
  to: TenantFile,
  actors: readonly { readonly type: string; readonly id: string }[],
): void {
  to.transact(() => {
    for (const { type, id } of actors) {
      to.actors.take(from.actors, type, id);
      to.calls.take(from.calls, type, id);
      to.numbered.take(from.numbered, type, id);
      to.visitors.take(from.visitors, type, id);
      to.history.take(from.history, type, id);
      to.places.take(from.places, type, id);
      to.closed.remove(type, id);
    }
  });
  for (const { type, id } of actors) to.closed.forget(type, id);
}

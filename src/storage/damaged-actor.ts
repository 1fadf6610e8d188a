/** A row that fails its check: this actor's data is not to be trusted, the rest of the file may be. */
export class DamagedActorError extends Error {
  override readonly name = 'DamagedActorError';
}

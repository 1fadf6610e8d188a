/**
 * Where backups lie, as the rest of this room sees it. A directory is one (directory-target.ts); an object store can be
 * another. Names are those of names.ts; what is called otherwise is no object. Whatever settles is durable. An object under
 * its name is whole, with one exception: what was being added when its process was killed, which segment.ts recognises.
 */

export interface BackupObject {
  readonly name: string;
  readonly bytes: number;
}

export interface BackupTarget {
  /** For people, and to tell targets apart: the absolute path of the directory. */
  readonly name: string;

  /** Copies a local file there, whole or not at all. Replaces. */
  put(name: string, path: string): Promise<void>;

  /** The same with a text. */
  putText(name: string, text: string): Promise<void>;

  /**
   * Adds bytes at `offset`, which is the object's length so far (0 creates it). Bytes that are there already change
   * nothing, so that an append may be repeated. Others replace everything from `offset` on: the end of an earlier append
   * that was cut off. Appends to one object must not overlap in time.
   * @throws Error when the object is shorter than `offset`
   */
  append(name: string, offset: number, bytes: Buffer): Promise<void>;

  /** To a local file that does not exist yet. @throws MissingBackupError */
  get(name: string, path: string): Promise<void>;

  /** @throws MissingBackupError */
  read(name: string): Promise<Buffer>;

  /** Objects whose name begins with prefix, by name; what is being written is none yet. */
  list(prefix: string): Promise<readonly BackupObject[]>;

  /** Nothing happens when it is not there. */
  remove(name: string): Promise<void>;
}

/** What passes between the pool and its thread: findings as values, because an error loses its class on the way. */
import { DamagedBackupError, RestoreRefusal } from './errors.ts';
import type { Manifest } from './manifest.ts';
import { type BaseFacts, verifyBase } from './verify.ts';

export interface VerifyTask {
  readonly path: string;
  readonly tenant: string;
  readonly manifest: Manifest | undefined;
  readonly name: string;
}

export type VerifyAnswer =
  | { readonly kind: 'facts'; readonly facts: BaseFacts }
  | { readonly kind: 'damaged'; readonly object: string; readonly problem: string }
  | { readonly kind: 'refused'; readonly message: string };

/** In the thread. @throws Error when it could not be tried */
export function answerVerify({ path, tenant, manifest, name }: VerifyTask): VerifyAnswer {
  try {
    return { kind: 'facts', facts: verifyBase(path, tenant, manifest, name) };
  } catch (error) {
    if (error instanceof DamagedBackupError)
      return { kind: 'damaged', object: error.object, problem: error.message.slice(error.object.length + 1) };
    if (error instanceof RestoreRefusal) return { kind: 'refused', message: error.message };
    throw error;
  }
}

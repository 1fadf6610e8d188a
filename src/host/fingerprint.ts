/**
 * Hashes of what a call asks for: for idempotency keys (method and input) and for calls that kill (all of it).
 * Object keys are sorted, so that two spellings of one input are one.
 */
import { hash } from 'node:crypto';

/** 22 characters of SHA-256 over method and input. */
export function argsFingerprint(method: string, input: unknown): string {
  return hash('sha256', `${method}\n${canonical(input)}`, 'base64url').slice(0, 22);
}

/** 32 digits in hex: an operator types it, and a word that begins with a dash would be taken for a flag. */
export function callFingerprint(
  tenant: string,
  call: { actor: string; actorId: string; method: string; key: string; input: unknown },
): string {
  const { actor, actorId, method, key, input } = call;
  return hash('sha256', [tenant, actor, actorId, method, key, canonical(input)].join('\n'), 'hex').slice(0, 32);
}

function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, child: unknown) =>
      typeof child === 'object' && child !== null && !Array.isArray(child)
        ? Object.fromEntries(Object.entries(child).sort(([a], [b]) => (a < b ? -1 : 1)))
        : child,
    ) ?? ''
  );
}

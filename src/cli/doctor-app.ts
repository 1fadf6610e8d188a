/** Does the app load, and how durable are its actors? It is loaded in a thread of its own, which ends with the answer. */
import type { Durability } from '../actor/definition.ts';
import { Thread, ThreadError } from '../host/thread.ts';
import { fail, ok, reason, warn, type Finding } from './doctor-finding.ts';
import { counted, readableTime } from './readable.ts';

interface LoadedActor {
  readonly type: string;
  readonly durability: Durability;
}

export type AppFacts =
  | { readonly kind: 'loaded'; readonly actors: readonly LoadedActor[] }
  | { readonly kind: 'failed'; readonly message: string; readonly hint: string }
  | { readonly kind: 'unnamed' };

/** Longer than the thread itself waits for a module (loadApp): only one that never lets go of it takes so long. */
const loadMsMax = 35_000;

export async function lookAtApp(path: string, heapMbMax: number, waitMsMax = loadMsMax): Promise<AppFacts> {
  if (path === '') return { kind: 'unnamed' };
  // Beside the entries of the server's own threads, seen from where those lie.
  const thread = new Thread('doctor', 'doctor', undefined, [], heapMbMax);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const say = (): void => reject(new Error(`it was still not loaded after ${readableTime(waitMsMax)}`));
    timer = setTimeout(say, waitMsMax);
  });
  try {
    return { kind: 'loaded', actors: await Promise.race([thread.ask<LoadedActor[]>('load', path), late]) };
  } catch (error) {
    const hint = error instanceof ThreadError ? error.hint : undefined;
    return { kind: 'failed', message: reason(error), hint: hint ?? 'serve would end in the same way (exit code 66).' };
  } finally {
    clearTimeout(timer);
    await thread.terminate();
  }
}

export function judgeApp(app: AppFacts): Finding {
  const check = 'app';
  if (app.kind === 'loaded') {
    const names = app.actors.map(({ type }) => type);
    return ok(check, `${counted(names.length, 'actor')}: ${names.join(', ')}`);
  }
  if (app.kind === 'failed') return fail(check, app.message, app.hint);
  return warn(check, 'not named, so not loaded', 'Name it as for serve: fermata doctor --production app.js');
}

export function judgeDurability(app: AppFacts): Finding {
  const check = 'durability';
  if (app.kind !== 'loaded') return warn(check, 'not known without the app', 'See the line of the app.');
  const named = (durability: Durability): string =>
    app.actors
      .filter((actor) => actor.durability === durability)
      .map(({ type }) => type)
      .join(', ');
  const memory = named('memory');
  const inProcess = named('process');
  const parts = [
    ...(memory === '' ? [] : [`memory, which survives nothing: ${memory}`]),
    ...(inProcess === '' ? [] : [`process, which may lose a second with the machine: ${inProcess}`]),
  ];
  if (parts.length === 0) return ok(check, 'every actor is durable: fsynced before the reply');
  return warn(check, parts.join('; '), 'Right when it is meant so: leave `durability` out where it is not.');
}

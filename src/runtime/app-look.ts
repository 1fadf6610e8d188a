/**
 * The thread in which `fermata doctor --production` loads an app, as `serve` does: what the module does to its thread ends
 * with it. What it prints goes to stderr, because stdout is for findings.
 */
import type { AppDefinition } from '../actor/definition.ts';
import { loadApp } from './load-app.ts';

/** The answers to the doctor's questions: `load` path → the type and durability of each actor. */
export function answerAppLook(): Record<string, (argument: unknown) => unknown> {
  process.stdout.write = process.stderr.write.bind(process.stderr);
  return {
    async load(path) {
      const app: AppDefinition = await loadApp(String(path), process.cwd());
      return [...app.actors].map(([type, { durability }]) => ({ type, durability }));
    },
  };
}

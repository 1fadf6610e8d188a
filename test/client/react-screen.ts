/**
 * A place in jsdom's page where a test shows components, the hooks that it uses there, and the timers of both.
 *
 * Everything runs inside React's `act`, and whatever React complains about on the console fails the test.
 */
import { act, createElement, type ReactNode } from 'react';
import { createRoot, hydrateRoot, type Root } from 'react-dom/client';
import { afterEach, beforeEach, expect, type MockInstance, vi } from 'vitest';
import { createFermataReact } from '../../src/client/react.ts';
import type { app } from './app.ts';
import type { Wire } from './react-wire.ts';

export const hooks = createFermataReact<typeof app>();

let complaints: MockInstance<typeof console.error>;
const screens = new Set<Screen>();

/** For each file that shows something: call it once, at the top. */
export function useScreens(): void {
  beforeEach(() => {
    Reflect.set(globalThis, 'IS_REACT_ACT_ENVIRONMENT', true);
    // React needs none of these; `react-hold.ts` does.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    complaints = vi.spyOn(console, 'error').mockImplementation(() => {});
  });
  afterEach(async () => {
    for (const screen of screens) await screen.clear();
    const said = complaints.mock.calls;
    vi.restoreAllMocks();
    vi.useRealTimers();
    expect(said).toEqual([]);
  });
}

/** For errors that a test means to throw: React complains of them, and in 18 the page reports them as uncaught too. */
export async function expectingErrors(act: () => Promise<void>): Promise<void> {
  const quiet = (event: Event): void => event.preventDefault();
  window.addEventListener('error', quiet);
  try {
    await act();
  } finally {
    window.removeEventListener('error', quiet);
    complaints.mockClear();
  }
}

export class Screen {
  readonly #container = document.createElement('div');
  readonly #wire: Wire;
  #root: Root | undefined;

  constructor(wire: Wire) {
    this.#wire = wire;
    screens.add(this);
  }

  get text(): string {
    return this.#container.textContent ?? '';
  }

  async show(node: ReactNode): Promise<this> {
    this.#root ??= createRoot(this.#container);
    const root = this.#root;
    await act(async () => root.render(this.#provide(node)));
    return this;
  }

  /** Takes over what a server rendered of the same node. */
  async hydrate(html: string, node: ReactNode, onRecoverableError?: (error: unknown) => void): Promise<this> {
    this.#container.innerHTML = html;
    const options = onRecoverableError === undefined ? {} : { onRecoverableError };
    await act(async () => {
      this.#root = hydrateRoot(this.#container, this.#provide(node), options);
    });
    return this;
  }

  async clear(): Promise<void> {
    screens.delete(this);
    await act(async () => this.#root?.unmount());
    this.#root = undefined;
  }

  #provide(node: ReactNode): ReactNode {
    return createElement(hooks.FermataProvider, { client: this.#wire.client }, node);
  }
}

export async function passMs(ms: number): Promise<void> {
  await act(async () => void (await vi.advanceTimersByTimeAsync(ms)));
}

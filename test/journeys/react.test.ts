import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'vite';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Browser, type Tab } from '../support/browser.ts';
import { needs } from '../support/needs.ts';
import { root } from '../support/server.ts';
import { freePort, Stage } from '../support/stage.ts';

beforeAll(() => void needs('chromium'), 300_000);

/** A folder with the example's app and, beside it, the page made of test/client/react-page.ts. Returns the app's path. */
async function appWithPage(folder: string): Promise<string> {
  const pages = join(folder, 'public');
  mkdirSync(pages);
  writeFileSync(
    join(pages, 'index.html'),
    '<!doctype html><meta charset="utf-8"><div id="root"></div><script type="module" src="/page.js"></script>',
  );
  await build({
    configFile: false,
    root,
    // It would warn of 'use client', which is for other bundlers.
    logLevel: 'error',
    resolve: { conditions: ['fermata-source'] },
    build: {
      outDir: pages,
      emptyOutDir: false,
      copyPublicDir: false,
      rolldownOptions: { input: join(root, 'test/client/react-page.ts'), output: { entryFileNames: 'page.js' } },
    },
  });
  const app = join(folder, 'app.ts');
  writeFileSync(app, `export { app } from '${pathToFileURL(join(root, 'examples/app.ts')).href}';\n`);
  return app;
}

async function shows(tab: Tab, element: string, text: string): Promise<void> {
  const read = () => tab.evaluate(`document.querySelector('${element}')?.innerText ?? ''`);
  await vi.waitUntil(async () => (await read()) === text, { timeout: 20_000, interval: 100 });
}

describe('a page of React components', () => {
  it('shows a counter, counts clicks, and finds its place again after the server was killed', async () => {
    const stage = new Stage();
    onTestFinished(() => stage.end());
    const app = await appWithPage(stage.dataDir());
    const dataDir = stage.dataDir();
    const port = await freePort();
    const start = () => stage.serve({ app, args: ['--dev', '--port', port], dataDir });
    const server = await start();
    const browser = await Browser.start();
    onTestFinished(() => browser.end());
    const tab = await browser.open(server.address);
    const click = () => tab.evaluate(`document.querySelector('button').click()`);
    await shows(tab, '#status', 'connected');
    await shows(tab, '#count', 'count 0');
    await shows(tab, '#call', 'idle, fine, none');
    await click();
    await click();
    await shows(tab, '#count', 'count 2');
    await shows(tab, '#call', 'idle, fine, 2');
    await server.kill9();
    await shows(tab, '#status', 'reconnecting');
    await shows(tab, '#count', 'count 2');
    await click();
    await shows(tab, '#call', 'pending, fine, 2');
    await start();
    await shows(tab, '#status', 'connected');
    await shows(tab, '#count', 'count 3');
    await shows(tab, '#call', 'idle, fine, 3');
    await click();
    await shows(tab, '#count', 'count 4');
    const another = await browser.open(server.address);
    await shows(another, '#count', 'count 4');
    expect(await tab.evaluate('document.body.innerText.includes("waiting")')).toBe(false);
  });
});

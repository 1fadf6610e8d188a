import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Browser, type Tab } from '../support/browser.ts';
import { needs } from '../support/needs.ts';
import { freePort, Stage } from '../support/stage.ts';

beforeAll(() => void needs('chromium'), 300_000);

async function say(tab: Tab, text: string): Promise<void> {
  const field = `document.querySelector('#text')`;
  await tab.evaluate(`${field}.value = ${JSON.stringify(text)}; ${field}.form.requestSubmit()`);
}

/** Waits until the page's element shows exactly this text somewhere. */
async function shows(tab: Tab, element: string, ...texts: string[]): Promise<void> {
  const read = async () => String(await tab.evaluate(`document.querySelector('${element}')?.innerText ?? ''`));
  const found = async () => {
    const text = await read();
    return texts.every((each) => text.includes(each));
  };
  await vi.waitUntil(found, { timeout: 20_000, interval: 100 });
}

const connected = (tab: Tab) => shows(tab, '#status', 'connected');

describe('the chat page of the example', () => {
  it('shares a room between two tabs, and finds every message again after the server was killed', async () => {
    const stage = new Stage();
    onTestFinished(() => stage.end());
    const dataDir = stage.dataDir();
    const port = await freePort();
    const start = () => stage.serve({ app: 'examples/app.ts', args: ['--dev', '--port', port], dataDir });
    const server = await start();
    const browser = await Browser.start();
    onTestFinished(() => browser.end());
    const one = await browser.open(server.address);
    const two = await browser.open(server.address);
    await Promise.all([connected(one), connected(two)]);
    await say(one, 'Hello from <b>one</b>');
    await shows(two, '#messages', 'Hello from <b>one</b>');
    await say(two, 'And hello back');
    await Promise.all([one, two].map((tab) => shows(tab, '#messages', 'Hello from <b>one</b>', 'And hello back')));
    await shows(one, '#online-count', '2');
    await server.kill9();
    await shows(one, '#status', 'reconnecting');
    await start();
    await Promise.all([connected(one), connected(two)]);
    await shows(one, '#messages', 'Hello from <b>one</b>', 'And hello back');
    await say(one, 'Still here');
    await shows(two, '#messages', 'Still here');
    await shows(one, '#online-count', '2');
    expect(await two.evaluate(`document.querySelectorAll('#messages b').length`)).toBe(0);
  });
});

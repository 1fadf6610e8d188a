/** A stock client, the shipped one, and the additions by hand: they differ in what they are told, not in what they see. */
import { expect, onTestFinished, test } from 'vitest';
import { createClient } from '../../src/client/client.ts';
import { app } from '../support/apps/stock.ts';
import { BaseClient } from '../support/base-client.ts';
import { getState } from '../support/http.ts';
import { settled, StockStage } from '../support/stock-stage.ts';
import { eventually } from '../support/wait.ts';

test('a client of each kind, with one actor, see the same', async () => {
  const stage = new StockStage();
  const server = stage.serve(app);
  const stock = await stage.connect(server.url);
  const id = 'hall';
  const shipped = createClient<typeof app>({ url: server.url });
  const v1 = await BaseClient.connect(server.url, { v1: true });
  onTestFinished(async () => {
    shipped.connection.close();
    await v1.close();
    await stage.end();
  });
  const heard: Record<'stock' | 'shipped', string[]> = { stock: [], shipped: [] };
  const [one, two] = [stock.actor('room', id), shipped.room(id)];
  one.on('said', (text) => heard.stock.push(String(text)));
  two.on('said', (text) => heard.shipped.push(text));
  one.subscribe();
  two.state.subscribe(() => {});
  await v1.subscribe('room', id);
  v1.send({ type: 'event:sub', actor: 'room', actorId: id });
  await Promise.all([settled(one), two.nothing(), v1.settled('room', id)]);
  for (let n = 0; n < 10; n += 1) await Promise.all([one.call('say', `a${n}`), two.say(`b${n}`)]);
  await Promise.all([settled(one), two.nothing(), v1.settled('room', id)]);

  const state = (await getState(server.url, 'room', id)).json();
  expect(state['lines']).toHaveLength(20);
  expect(one.state).toEqual(state);
  await eventually('the shipped client as well', () => two.state.get()?.lines.length === 20);
  expect(two.state.get()).toEqual(state);
  expect(heard.stock).toEqual(state['lines']);
  expect(heard.shipped).toEqual(state['lines']);
  const numbered = v1.frames.filter(({ type }) => type === 'state:patch' || type === 'event');
  expect(numbered.every((frame) => typeof frame['seq'] === 'number')).toBe(true);
  expect(numbered.filter(({ type }) => type === 'event')).toHaveLength(40);
});

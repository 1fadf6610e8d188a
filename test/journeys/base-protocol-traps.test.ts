/**
 * Known traps: places where a server that is nearly right breaks stock clients, without an error that anybody sees. One
 * test for each, named by the trap. Those of patches have a file of their own.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TestServer } from '../../src/testing/serve.ts';
import type { Edit } from '../support/apps/stock-edits.ts';
import { app } from '../support/apps/stock.ts';
import { getState } from '../support/http.ts';
import type { StockClient } from '../support/stock-client.ts';
import { settled, StockStage } from '../support/stock-stage.ts';
import type { Frame } from '../support/stock-watch.ts';
import { eventually } from '../support/wait.ts';

const stage = new StockStage();
let server: TestServer;
beforeAll(() => {
  server = stage.serve(app);
});
afterAll(() => stage.end());

/** Two clients and an address that no other trap uses. */
interface Scene {
  readonly ada: StockClient;
  readonly bob: StockClient;
  readonly id: string;
}

type Trap = (scene: Scene) => Promise<void>;

const results: Record<string, Trap> = {
  'a result that is undefined has no field, and is no error': async ({ ada, id }) => {
    expect(await ada.actor('room', id).call('nothing')).toBeUndefined();
    expect(ada.frames.at(-1)).toEqual({ type: 'rpc:result', id: expect.any(String) });
  },
  'a result that is falsy is there': async ({ ada, id }) => {
    for (const value of [null, false, 0, '']) {
      expect(await ada.actor('room', id).call('echo', value)).toBe(value);
      expect(ada.frames.at(-1)).toHaveProperty('result', value);
    }
  },
  'an empty error text would be taken for a success': async ({ ada, id }) => {
    await expect(ada.actor('faulty', id).call('fail', 'empty')).rejects.toThrow(/^Error$/);
  },
  'what is thrown and is no Error has no message': async ({ ada, id }) => {
    for (const how of ['text', 'nothing', 'object'])
      await expect(ada.actor('faulty', id).call('fail', how)).rejects.toThrow(/^Unknown error$/);
  },
  'a result that is a draft is more than its end': async ({ ada, id }) => {
    await ada.actor('room', id).call('say', 'one');
    expect(await ada.actor('room', id).call('whole')).toEqual({
      state: { lines: ['one'], online: [ada.clientId], visits: 1 },
      lines: ['one'],
      last: 'one',
    });
  },
  'input that is left out is undefined, input that is null is null': async ({ ada, id }) => {
    expect(await ada.actor('room', id).call('echo')).toBeUndefined();
    expect(await ada.actor('room', id).call('echo', null)).toBeNull();
    expect(ada.sent.map((text) => 'input' in (JSON.parse(text) as Frame))).toEqual([false, true]);
  },
  'awaiting a handle calls its method "then"': async ({ ada, id }) => {
    await expect(ada.actor('room', id).call('then', () => {})).rejects.toThrow(/^Unknown method: then$/);
  },
};

const ids: Record<string, Trap> = {
  'call ids of any characters come back as they were': async ({ ada, id }) => {
    const odd = [
      '',
      ' ',
      '"',
      '\\',
      '\\"',
      "'",
      '{}',
      '</script>',
      '\n\t\u0000',
      '\u2028',
      'ü',
      '😀',
      '\ud800',
      'x'.repeat(256),
    ];
    for (const one of odd) ada.sendRaw({ type: 'rpc', id: one, actor: 'room', actorId: id, method: 'nothing' });
    await eventually('all answers', () => ada.unanswered.length === 0);
    expect(ada.frames.slice(1)).toEqual(odd.map((one) => ({ type: 'rpc:result', id: one })));
  },
  'the same call id from two connections is two calls': async ({ ada, bob, id }) => {
    const call = { type: 'rpc', id: 'rpc_1_same', actor: 'room', actorId: id, method: 'say', input: 'x' };
    for (const client of [ada, bob]) client.sendRaw(call);
    await eventually('both answers', () => [ada, bob].every(({ unanswered }) => unanswered.length === 0));
    expect(await lengthOf(id)).toBe(2);
  },
  'actor ids of any characters are told apart and come back as they were': async ({ ada, bob, id }) => {
    const odd = [
      ':',
      '/',
      '..',
      '%2F',
      '"',
      '\\',
      '{}',
      'ü',
      '😀',
      ' ',
      `${id}:x`,
      'constructor',
      '__proto__',
      'x'.repeat(256),
    ];
    const rooms = odd.map((one) => ada.actor('room', one));
    const heard: unknown[] = [];
    for (const room of rooms) {
      room.subscribe();
      room.on('said', (text) => heard.push(text));
      await settled(room);
    }
    for (const one of odd) await bob.actor('room', one).call('say', one);
    for (const room of rooms) await settled(room);
    expect(heard).toEqual(odd);
    for (const [n, room] of rooms.entries()) expect(room.state).toMatchObject({ lines: [odd[n]] });
  },
  'two types with one id, and two ids of one type, are others': async ({ ada, bob, id }) => {
    const [room, other, sheet] = [ada.actor('room', id), ada.actor('room', `${id}2`), ada.actor('sheet', id)];
    for (const handle of [room, other, sheet]) {
      handle.subscribe();
      await settled(handle);
    }
    await bob.actor('sheet', id).call('edit', [set('k', 1)]);
    await bob.actor('room', id).call('say', 'here');
    for (const handle of [room, other, sheet]) await settled(handle);
    expect([room, other, sheet].map(({ state }) => state)).toEqual([
      { lines: ['here'], online: [ada.clientId, bob.clientId], visits: 2 },
      { lines: [], online: [ada.clientId], visits: 1 },
      { k: 1 },
    ]);
  },
  'names that every object inherits are unknown ones': async ({ ada, id }) => {
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
      await expect(ada.actor(name, id).call('nothing')).rejects.toThrow(`Unknown actor: ${name}`);
      await expect(ada.actor('room', id).call(name)).rejects.toThrow(`Unknown method: ${name}`);
      ada.actor(name, id).subscribe();
      ada.actor(name, id).on(name, () => {});
    }
    await settled(ada.actor('room', id));
    expect(ada.frames.every(({ type }) => type === 'welcome' || type === 'rpc:result')).toBe(true);
  },
};

const streams: Record<string, Trap> = {
  'a snapshot that is older than onConnect would miss who asked': async ({ ada, id }) => {
    const seen: unknown[] = [];
    ada.actor('room', id).subscribe((state) => seen.push(state));
    await settled(ada.actor('room', id));
    expect(seen).toEqual([{ lines: [], online: [ada.clientId], visits: 1 }]);
  },
  'a patch before its snapshot would be dropped, and every later one be wrong': async ({ ada, bob, id }) => {
    const writes = Array.from({ length: 50 }, (_, n) => bob.actor('room', id).call('sayAnyhow', n));
    const room = ada.actor('room', id);
    for (let n = 0; n < 10; n += 1) {
      room.subscribe()();
      await settled(room);
    }
    room.subscribe();
    await Promise.all(writes);
    await settled(room);
    expect(room.state).toEqual((await getState(server.url, 'room', id)).json());
  },
  'a second state:sub is answered by a snapshot, and patches still come once': async ({ ada, id }) => {
    const room = ada.actor('room', id);
    room.subscribe();
    ada.sendRaw({ type: 'state:sub', actor: 'room', actorId: id });
    await settled(room);
    expect(kindsOf(ada).filter((kind) => kind === 'state:snapshot')).toHaveLength(2);
    await room.call('say', 'once');
    expect(kindsOf(ada).filter((kind) => kind === 'state:patch')).toHaveLength(1);
    expect(room.state).toMatchObject({ lines: ['once'] });
  },
  'a second event:sub does not double the events': async ({ ada, id }) => {
    const heard: unknown[] = [];
    ada.actor('room', id).on('said', (text) => heard.push(text));
    ada.sendRaw({ type: 'event:sub', actor: 'room', actorId: id });
    await ada.actor('room', id).call('say', 'once');
    expect(heard).toEqual(['once']);
  },
  'one who left and came back gets no patch of the time between': async ({ ada, bob, id }) => {
    const room = ada.actor('room', id);
    const leave = room.subscribe();
    await settled(room);
    leave();
    await settled(room);
    await bob.actor('room', id).call('say', 'unseen');
    const seen: unknown[] = [];
    room.subscribe((state) => seen.push((state as { lines: unknown }).lines));
    await settled(room);
    // A stock client tells what it had first.
    expect(seen).toEqual([[], ['unseen']]);
  },
  'the writer, who subscribed, sees its change before its result': async ({ ada, id }) => {
    const room = ada.actor('room', id);
    room.subscribe();
    await settled(room);
    for (let n = 1; n <= 20; n += 1) {
      await room.call('say', 'x');
      expect((room.state as { lines: string[] }).lines).toHaveLength(n);
    }
  },
  'an event whose payload is undefined has none': async ({ ada, id }) => {
    const heard: unknown[] = [];
    ada.actor('room', id).on('cleared', (payload) => heard.push(payload));
    await ada.actor('room', id).call('clear');
    expect(heard).toEqual([undefined]);
    expect(ada.frames.find(({ type }) => type === 'event')).toEqual({
      type: 'event',
      actor: 'room',
      actorId: id,
      event: 'cleared',
    });
  },
  'emit without a target reaches nobody': async ({ ada, id }) => {
    ada.actor('room', id).on('said', () => {});
    await ada.actor('room', id).call('mumble');
    expect(ada.frames.filter((frame) => frame['event'] !== 'joined').map(({ type }) => type)).toEqual([
      'welcome',
      'rpc:result',
    ]);
  },
  'an event to somebody who did not subscribe does not reach it': async ({ ada, bob, id }) => {
    await settled(bob.actor('room', id));
    await ada.actor('room', id).call('tell', { text: 'psst', to: [bob.clientId] });
    await settled(bob.actor('room', id));
    expect(kindsOf(bob)).toEqual(['welcome', 'rpc:result', 'rpc:result']);
  },
  'an actor with a history numbers its events for others only': async ({ ada, id }) => {
    const room = ada.actor('room', id);
    room.on('said', () => {});
    ada.sendRaw({ type: 'event:sub', actor: 'room', actorId: id, since: { epoch: 'x', seq: 1 } });
    ada.sendRaw({ type: 'state:sub', actor: 'room', actorId: id, since: { epoch: 'x', seq: 1 } });
    await room.call('say', 'hello');
    for (const frame of ada.frames)
      for (const field of ['seq', 'epoch', 'gap']) expect(frame).not.toHaveProperty(field);
    expect(kindsOf(ada)).toContain('state:snapshot');
  },
  'a subscription to what does not exist is no error, and no end': async ({ ada, id }) => {
    ada.actor('nope', id).subscribe();
    ada.actor('nope', id).on('said', () => {});
    await settled(ada.actor('room', id));
    expect(kindsOf(ada)).toEqual(['welcome', 'rpc:result']);
  },
  'subscriptions that are sent before welcome was read count': async ({ id }) => {
    const early = stage.client(server.url);
    const room = early.actor('room', id);
    room.subscribe();
    await settled(room);
    expect(kindsOf(early)).toEqual(['welcome', 'state:snapshot', 'rpc:result']);
  },
};

for (const [name, traps] of Object.entries({ results, ids, streams })) {
  describe(name, () => {
    test.each(Object.entries(traps))('%s', async (trap, prove) => {
      const [ada, bob] = [await stage.connect(server.url), await stage.connect(server.url)];
      await prove({ ada, bob, id: trap });
      expect([...ada.violations, ...bob.violations]).toEqual([]);
      ada.close();
      bob.close();
    });
  });
}

function kindsOf({ frames }: StockClient): string[] {
  return frames.map((frame) => String(frame['type']));
}

async function lengthOf(id: string): Promise<number> {
  return ((await getState(server.url, 'room', id)).json() as unknown as { lines: string[] }).lines.length;
}

function set(key: string, value: unknown): Edit {
  return { at: [], act: 'set', key, index: 0, value };
}

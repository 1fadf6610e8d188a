/** The other commands, beside a running server and after it: what `inspect` shows is what clients were told. */
import { expect, onTestFinished, test } from 'vitest';
import { BaseClient } from '../support/base-client.ts';
import { getState, post } from '../support/http.ts';
import { run, Stage } from '../support/stage.ts';
import { mint } from '../support/token.ts';

function newStage(): Stage {
  const stage = new Stage();
  onTestFinished(() => stage.end());
  return stage;
}

interface Actor {
  readonly type: string;
  readonly id: string;
  readonly seq: number;
}

async function inspect(dataDir: string, ...words: string[]): Promise<unknown> {
  const { code, stdout, stderr } = await run(['inspect', ...words, '--data-dir', dataDir, '--json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}

test('inspect agrees with the server while it runs, after a kill -9 and after a stop', async () => {
  const stage = newStage();
  const dataDir = stage.dataDir();
  const expected = new Map<string, number>();
  for (const end of ['kill9', 'term'] as const) {
    const server = await stage.serve({ app: 'ledger', dataDir, args: ['--shards', '2'] });
    for (const tenant of ['acme', 'bolt']) {
      const client = await stage.connect(server, { tenant });
      for (let n = 0; n < 10; n += 1) {
        const name = `${tenant} c${n % 4}`;
        expected.set(name, (await client.rpc('counter', `c${n % 4}`, 'increment')) as number);
      }
    }
    const check = async (): Promise<void> => {
      expect(await inspect(dataDir)).toEqual(['acme', 'bolt'].map((tenant) => expect.objectContaining({ tenant })));
      for (const tenant of ['acme', 'bolt']) {
        const actors = (await inspect(dataDir, 'actors', tenant)) as Actor[];
        expect(actors.map(({ type, id, seq }) => [`${tenant} ${id}`, type, seq])).toEqual(
          [0, 1, 2, 3].map((n) => [`${tenant} c${n}`, 'counter', expected.get(`${tenant} c${n}`)]),
        );
      }
      const name = 'bolt c1';
      const shown = await inspect(dataDir, 'actor', 'bolt', 'counter', 'c1');
      expect(shown).toMatchObject({ tenant: 'bolt', type: 'counter', id: 'c1', state: { count: expected.get(name) } });
    };
    await check();
    await server[end]();
    await check();
  }
});

test('inspect changes nothing: a server goes on beside it', async () => {
  const stage = newStage();
  const server = await stage.serve({ app: 'ledger' });
  const client = await stage.connect(server, { v1: true });
  const looking = Promise.all([
    inspect(server.dataDir),
    inspect(server.dataDir, 'actors', 'acme').catch(() => undefined),
  ]);
  for (let n = 1; n <= 200; n += 1) expect(await client.rpc('counter', 'c', 'increment')).toBe(n);
  await looking;
  await server.kill9();
  const again = await stage.serve({ app: 'ledger', dataDir: server.dataDir });
  expect((await getState(again.address, 'counter', 'c', { token: await mint() })).json()).toEqual({ count: 200 });
});

test('inspect of what is not there says so and ends with 1', async () => {
  const stage = newStage();
  const server = await stage.serve({ app: 'ledger' });
  await (await stage.connect(server)).rpc('counter', 'c', 'increment');
  for (const words of [
    ['actors', 'nobody'],
    ['actor', 'acme', 'counter', 'none'],
    ['actor', '../acme', 'counter', 'c'],
  ]) {
    const { code, stderr } = await run(['inspect', ...words, '--data-dir', server.dataDir]);
    expect([words, code]).toEqual([words, 1]);
    expect(stderr).toMatch(/^fermata: /);
  }
});

test('token prints a token alone, which the server takes for what it says', async () => {
  const stage = newStage();
  const server = await stage.serve({ app: 'probe' });
  const words = ['token', '--tenant', 'bolt', '--sub', 'zoe', '--claim', 'role=admin'];
  const { code, stdout, stderr } = await run(words);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
  const client = await BaseClient.connect(server.address, { token: stdout.trim() });
  onTestFinished(() => client.socket.terminate());
  expect(await client.rpc('visited', 'x', 'me')).toMatchObject({ tenant: 'bolt', userId: 'zoe', role: 'admin' });
  const other = await run(words, { AUTH_JWT_SECRET: 'another secret, of which the server knows nothing' });
  expect(await post(server.address, ['probe', 'x', 'nothing'], { token: other.stdout.trim() })).toMatchObject({
    status: 401,
  });
});

test('in development a token of the data directory opens the tenant it names, and none at all is tenant dev', async () => {
  const stage = newStage();
  const server = await stage.serve({ app: 'probe', args: ['--dev'], env: { AUTH_JWT_SECRET: '' } });
  const { stdout } = await run(['token', '--tenant', 'acme', '--sub', 'ada', '--data-dir', server.dataDir], {
    AUTH_JWT_SECRET: '',
  });
  const me = async (token: string | undefined): Promise<unknown> => {
    const ask = token === undefined ? {} : { token };
    return (await post(server.address, ['visited', 'x', 'me'], ask)).json();
  };
  expect(await me(stdout.trim())).toEqual({ result: expect.objectContaining({ tenant: 'acme', userId: 'ada' }) });
  expect(await me(undefined)).toEqual({ result: expect.objectContaining({ tenant: 'dev', userId: null }) });
});

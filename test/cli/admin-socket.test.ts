/** Who asks the running server gets its answer, line by line; nobody else gets in, and nothing is left behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, test } from 'vitest';
import { adminSocketPath } from '../../src/cli/admin-path.ts';
import { startAdminSocket, type AdminHandler } from '../../src/cli/admin-socket.ts';
import { askServer } from '../../src/cli/ask-server.ts';
import { CommandError } from '../../src/cli/command-error.ts';
import { newFolder } from './command-fixture.ts';

const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function start(dataDir: string, handlers: Record<string, AdminHandler>): Promise<() => void> {
  const close = await startAdminSocket(dataDir, handlers);
  closers.push(close);
  return close;
}

const quiet = (): void => {};
const echo: AdminHandler = async (body) => body;

describe('an answer', () => {
  test('comes back with its progress lines before it, in order', async () => {
    const dataDir = newFolder();
    await start(dataDir, {
      count: async (body, progress) => {
        for (let at = 1; at <= 3; at++) progress({ at });
        return { asked: body, line: 'break\n\u2028here' };
      },
    });
    const lines: object[] = [];
    const answer = await askServer(dataDir, 'count', { to: 3 }, (line) => lines.push(line));
    expect(answer).toEqual({ done: { asked: { to: 3 }, line: 'break\n\u2028here' } });
    expect(lines).toEqual([{ at: 1 }, { at: 2 }, { at: 3 }]);
  });

  test('without a value is an answer too', async () => {
    const dataDir = newFolder();
    await start(dataDir, { nothing: async () => undefined });
    expect(await askServer(dataDir, 'nothing', {}, quiet)).toEqual({ done: null });
  });

  test('progress is told while the work goes on, and two are asked at once without waiting for each other', async () => {
    const dataDir = newFolder();
    const waiting = new Map<string, () => void>();
    await start(dataDir, {
      wait: async (body, progress) => {
        const { name } = body as { name: string };
        progress({ name });
        await new Promise<void>((resolve) => waiting.set(name, resolve));
        return name;
      },
    });
    const begun: string[] = [];
    const ask = (name: string) =>
      new Promise<{ began: Promise<unknown> }>((resolve) => {
        const began = askServer(dataDir, 'wait', { name }, (line) => {
          begun.push((line as { name: string }).name);
          resolve({ began });
        });
      });
    const first = await ask('first');
    const second = await ask('second');
    expect(begun).toEqual(['first', 'second']);
    waiting.get('second')?.();
    expect(await second.began).toEqual({ done: 'second' });
    waiting.get('first')?.();
    expect(await first.began).toEqual({ done: 'first' });
  });

  test('that is an error keeps its hint', async () => {
    const dataDir = newFolder();
    await start(dataDir, {
      refuse: async () => {
        throw Object.assign(new Error('the disk is full'), { hint: 'Make room.' });
      },
      fail: async () => {
        throw new Error('it broke');
      },
    });
    await expect(askServer(dataDir, 'refuse', {}, quiet)).rejects.toMatchObject({
      name: 'CommandError',
      message: 'the disk is full',
      hint: 'Make room.',
      exitCode: 1,
    });
    await expect(askServer(dataDir, 'fail', {}, quiet)).rejects.toMatchObject({ message: 'it broke', hint: undefined });
  });

  test('that breaks off is told as such', async () => {
    const dataDir = newFolder();
    const close = await start(dataDir, {
      hang: async (_, progress) => {
        progress({ begun: true });
        await new Promise(() => {});
      },
    });
    const asked = askServer(dataDir, 'hang', {}, () => close());
    await expect(asked).rejects.toThrow('the server ended before it had answered');
  });
});

describe('what is refused', () => {
  test('a name that the server has not, also one that every object has', async () => {
    const dataDir = newFolder();
    await start(dataDir, { echo });
    for (const name of ['eccho', 'toString', '']) {
      await expect(askServer(dataDir, name, {}, quiet)).rejects.toThrow(`this server has no "${name}"`);
    }
  });

  test('a body over 64 KiB, whether or not it says how long it is', async () => {
    const dataDir = newFolder();
    await start(dataDir, { echo });
    const fits = 'x'.repeat(64 * 1024 - 2);
    expect(await askServer(dataDir, 'echo', fits, quiet)).toEqual({ done: fits });
    const tooLong = 'x'.repeat(5 * 1024 * 1024);
    await expect(askServer(dataDir, 'echo', tooLong, quiet)).rejects.toThrow('the request is larger than 65536 bytes');
    await expect(askServer(dataDir, 'eccho', tooLong, quiet)).rejects.toThrow('this server has no "eccho"');
    const chunked = request({ socketPath: adminSocketPath(dataDir), method: 'POST', path: '/echo', agent: false });
    const answered = new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
      chunked.on('error', reject);
      chunked.on('response', (response) => {
        text(response).then((body) => resolve({ status: response.statusCode, body }), reject);
      });
    });
    for (let sent = 0; sent < 20; sent++) chunked.write('y'.repeat(10_000));
    chunked.end();
    expect(await answered).toEqual({
      status: 413,
      body: '{"error":{"message":"the request is larger than 65536 bytes"}}\n',
    });
  });

  test('what is no POST, and what is no JSON', async () => {
    const dataDir = newFolder();
    await start(dataDir, { echo });
    const send = async (method: string, body: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        const options = { socketPath: adminSocketPath(dataDir), method, path: '/echo', agent: false };
        request(options, (response) => resolve(response.resume().statusCode))
          .on('error', reject)
          .end(body);
      });
    expect(await send('GET', '')).toBe(405);
    expect(await send('POST', '{"half":')).toBe(400);
    expect(await send('POST', '1')).toBe(200);
  });
});

describe('who goes away', () => {
  test('ends the work that nobody waits for any more', async () => {
    const dataDir = newFolder();
    const ended: Promise<unknown>[] = [];
    await start(dataDir, {
      long: async (_, progress, gone) => {
        ended.push(once(gone, 'abort'));
        progress({ begun: true });
        await ended[0];
        progress({ nobody: 'hears this' });
        return 'nor this';
      },
    });
    const socket = connect(adminSocketPath(dataDir));
    socket.end('POST /long HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}', () => {});
    await once(socket, 'data');
    socket.destroy();
    await expect(ended[0]).resolves.toBeDefined();
    // The server itself goes on.
    await expect(askServer(dataDir, 'other', {}, quiet)).rejects.toThrow('this server has no "other"');
  });

  test('and an asker who stops listening does too', async () => {
    const dataDir = newFolder();
    const ended = Promise.withResolvers<void>();
    await start(dataDir, {
      long: async (_, progress, gone) => {
        gone.addEventListener('abort', () => ended.resolve());
        progress({ begun: true });
        await ended.promise;
      },
    });
    const asked = askServer(dataDir, 'long', {}, () => {
      throw new Error('enough');
    });
    await expect(asked).rejects.toThrow('enough');
    await ended.promise;
  });

  test('progress that nobody reads is dropped, never gathered', async () => {
    const dataDir = newFolder();
    const counted = Promise.withResolvers<number>();
    await start(dataDir, {
      flood: async (_, progress) => {
        const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
        const line = { filler: 'z'.repeat(100_000) };
        for (let sent = 0; sent < 5000; sent++) progress(line);
        counted.resolve(process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before);
      },
    });
    const socket = connect(adminSocketPath(dataDir)).pause();
    socket.write('POST /flood HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}');
    // 500 MB were offered.
    expect(await counted.promise).toBeLessThan(200_000_000);
    socket.destroy();
  });
});

describe('the socket file', () => {
  test("is its owner's alone, and goes with the server", async () => {
    const dataDir = newFolder();
    const close = await start(dataDir, { echo });
    const path = join(realpathSync(dataDir), 'admin.sock');
    expect(adminSocketPath(dataDir)).toBe(path);
    expect(lstatSync(path).mode & 0o777).toBe(0o600);
    close();
    close();
    expect(lstatSync(path, { throwIfNoEntry: false })).toBeUndefined();
    expect(await askServer(dataDir, 'echo', {}, quiet)).toBeUndefined();
  });

  test('that a killed server left means that none runs, and the next one replaces it', async () => {
    const dataDir = newFolder();
    const module = join(import.meta.dirname, '../../src/cli/admin-socket.ts');
    const program = `
      import { startAdminSocket } from ${JSON.stringify(module)};
      await startAdminSocket(${JSON.stringify(dataDir)}, { echo: async () => 'the first' });
      console.log('up');
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    expect(await askServer(dataDir, 'echo', {}, quiet)).toEqual({ done: 'the first' });
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(lstatSync(adminSocketPath(dataDir)).isSocket()).toBe(true);
    expect(await askServer(dataDir, 'echo', {}, quiet)).toBeUndefined();
    await start(dataDir, { echo: async () => 'the second' });
    expect(await askServer(dataDir, 'echo', {}, quiet)).toEqual({ done: 'the second' });
  });

  test('of a data directory with a long path lies in the temporary directory, found from both sides', async () => {
    const dataDir = join(newFolder(), 'long'.repeat(20), 'path'.repeat(20));
    mkdirSync(dataDir, { recursive: true });
    const path = adminSocketPath(dataDir);
    expect(dirname(path)).toBe(tmpdir());
    expect(Buffer.byteLength(path)).toBeLessThanOrEqual(100);
    expect(adminSocketPath(join(dirname(dataDir), '.', 'path'.repeat(20), '/'))).toBe(path);
    const close = await start(dataDir, { echo });
    expect(lstatSync(path).mode & 0o777).toBe(0o600);
    expect(await askServer(dataDir, 'echo', 1, quiet)).toEqual({ done: 1 });
    close();
    expect(lstatSync(path, { throwIfNoEntry: false })).toBeUndefined();
  });

  test('is not made over something else of that name', async () => {
    const dataDir = newFolder();
    writeFileSync(join(dataDir, 'admin.sock'), 'mine');
    await expect(startAdminSocket(dataDir, {})).rejects.toThrow('admin.sock is something else; remove it');
    expect(await askServer(dataDir, 'echo', {}, quiet)).toBeUndefined();
  });

  test('an absent data directory has no server', async () => {
    expect(await askServer(join(newFolder(), 'absent'), 'echo', {}, quiet)).toBeUndefined();
  });

  test('whatever else listens there and breaks off is told, with the path', async () => {
    const dataDir = newFolder();
    const server = createServer((socket) => socket.destroy());
    server.listen(adminSocketPath(dataDir));
    await once(server, 'listening');
    closers.push(() => server.close());
    const asked = askServer(dataDir, 'echo', {}, quiet);
    await expect(asked).rejects.toBeInstanceOf(CommandError);
    await expect(asked).rejects.toThrow(`the server cannot be asked over ${adminSocketPath(dataDir)}`);
  });
});

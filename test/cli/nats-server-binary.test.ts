/** Which program is run as nats-server, and what is said of one that is not fit. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findNatsServer } from '../../src/cli/nats-server-binary.ts';
import { ManagedNats } from '../../src/cli/nats-server.ts';
import { needs } from '../support/needs.ts';
import { fakeProgram, newFolder, recordedLog, serverConfig } from './nats-server-fixture.ts';

test('a name is found on the PATH or where Debian puts servers, a path is taken as it is', async () => {
  const path = needs('nats-server');
  const found = await findNatsServer('nats-server');
  expect(found.path).toMatch(/^\/.*\/nats-server$/);
  expect(found.version).toMatch(/^2\.\d+\.\d+/);
  expect(await findNatsServer(path)).toEqual({ path, version: found.version });
});

test.each(['2.9.0', '2.10.0-beta.5', '2.14.1', '3.0.0'])('version %s is taken', async (version) => {
  const path = fakeProgram(`echo "nats-server: v${version}"`);
  expect(await findNatsServer(path)).toEqual({ path, version });
});

test('one that is missing is told with the package and the flag, before anything is made', async () => {
  const dataDir = join(newFolder(), 'data');
  for (const bin of ['no-such-nats-server', '/no/such/nats-server', newFolder()]) {
    const start = ManagedNats.start({ config: serverConfig({ bin }), dataDir, log: recordedLog([]) });
    await expect(start).rejects.toMatchObject({
      name: 'CommandError',
      message: expect.stringContaining(bin),
      exitCode: 78,
      hint: 'Install it (Debian: apt-get install nats-server), or name the program with --nats-server-bin.',
    });
  }
});

test('one that is too old is told with both versions', async () => {
  for (const version of ['2.8.0', '1.99.0', '2.0.1']) {
    const bin = fakeProgram(`echo "nats-server: v${version}"`);
    await expect(findNatsServer(bin)).rejects.toMatchObject({
      message: `${bin} is nats-server ${version}; 2.9 or newer is needed`,
      exitCode: 78,
    });
  }
});

test('another program is told by what it answers', async () => {
  const bin = fakeProgram('echo "nginx version: 1.2"');
  await expect(findNatsServer(bin)).rejects.toThrow('it answers --version with "nginx version: 1.2"');
  await expect(findNatsServer(fakeProgram('exit 3'))).rejects.toMatchObject({
    message: expect.stringContaining('does not run'),
    exitCode: 78,
  });
});

test('one that starts and dies at once is told by its last words, and nothing stays', async () => {
  const bin = fakeProgram('[ "$1" = --version ] && echo "nats-server: v2.10.1" || { echo "no such key" >&2; exit 1; }');
  const start = ManagedNats.start({ config: serverConfig({ bin }), dataDir: newFolder(), log: recordedLog([]) });
  await expect(start).rejects.toMatchObject({ message: 'nats-server did not start: no such key', exitCode: 1 });
});

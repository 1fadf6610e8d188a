/** What a managed nats-server has on disk, who may read it, and what it says of its secrets: nothing. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'nats';
import { describe, expect, onTestFinished, test } from 'vitest';
import { natsServerConfig } from '../../src/cli/nats-server-config.ts';
import { openNatsFolder } from '../../src/cli/nats-server-folder.ts';
import { freePort } from '../support/stage.ts';
import { eventually } from '../support/wait.ts';
import { connectTo, newFolder, serverConfig, startNats } from './nats-server-fixture.ts';

function configOf(changes: Parameters<typeof serverConfig>[0], dataDir = newFolder()): Record<string, unknown> {
  const text = natsServerConfig(serverConfig(changes), openNatsFolder(dataDir), 4222);
  return JSON.parse(text.slice(text.indexOf('{'))) as Record<string, unknown>;
}

describe('the folder of a managed nats-server', () => {
  test('is for its owner only, and so is every file with a secret', async () => {
    const { dataDir, nats } = await startNats();
    const modeOf = (name: string): string => (statSync(join(dataDir, 'nats', name)).mode & 0o777).toString(8);
    expect(modeOf('.')).toBe('700');
    expect([modeOf('nats.conf'), modeOf('credentials'), modeOf('name')]).toEqual(['600', '600', '600']);
    const withPassword = readdirSync(join(dataDir, 'nats'), { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => name)
      .filter((name) => readFileSync(join(dataDir, 'nats', name), 'utf8').includes(nats.nats.password!));
    expect(withPassword.sort()).toEqual(['credentials', 'nats.conf']);
    expect(statSync(join(dataDir, 'nats/jetstream')).isDirectory()).toBe(true);
  });

  test('gives the server the name of the node, and keeps it', () => {
    const dataDir = newFolder();
    writeFileSync(join(dataDir, 'node-id'), 'abcdefgh12345678\n');
    expect(openNatsFolder(dataDir).name).toBe('abcdefgh12345678');
    writeFileSync(join(dataDir, 'node-id'), 'zzzzzzzz12345678\n');
    expect(openNatsFolder(dataDir).name).toBe('abcdefgh12345678');
  });

  test('makes a name and credentials of its own, other ones in every directory', () => {
    const [one, two] = [openNatsFolder(newFolder()), openNatsFolder(newFolder())];
    expect(one.name).toMatch(/^[0-9a-f]{16}$/);
    expect(one.name).not.toBe(two.name);
    expect(one.password).not.toBe(two.password);
    expect(one.password.length).toBeGreaterThanOrEqual(43);
  });

  test('refuses credentials that are damaged, with what to do', () => {
    const dataDir = newFolder();
    openNatsFolder(dataDir);
    writeFileSync(join(dataDir, 'nats/credentials'), '{"user":"fermata","pass');
    expect(() => openNatsFolder(dataDir)).toThrow(/credentials of nats-server in .* are damaged/);
  });

  test('cannot be made where the data directory is a file', () => {
    const dataDir = join(newFolder(), 'file');
    writeFileSync(dataDir, '');
    expect(() => openNatsFolder(dataDir)).toThrow(/cannot be used: ENOTDIR/);
  });
});

describe('the configuration of a managed nats-server', () => {
  test('has no domain and no leaf nodes when there is no hub', () => {
    const config = configOf({});
    expect(config).not.toHaveProperty('leafnodes');
    expect(config['jetstream']).toEqual({ store_dir: expect.stringMatching(/\/nats$/) });
    expect(Object.keys(config).filter((key) => key.includes('http'))).toEqual([]);
  });

  test('has a domain of its own below a hub, or the one that was asked for', () => {
    const leafRemotes = ['nats://hub.example:7422'];
    expect(configOf({ leafRemotes })['jetstream']).toMatchObject({
      domain: expect.stringMatching(/^leaf-[0-9a-f]{16}$/),
    });
    expect(configOf({ leafRemotes, domain: 'shop-7' })['jetstream']).toMatchObject({ domain: 'shop-7' });
    expect(() => configOf({ domain: 'a.b' })).toThrow('the JetStream domain "a.b" is not a name');
  });

  test('is understood by nats-server, whatever the data directory is called', async () => {
    const { nats } = await startNats({}, join(newFolder(), `a "quoted" $name, it's {odd} # ü`));
    await connectTo(nats);
  });
});

test('nobody comes in without the credentials, and a wrong try is told without them', async () => {
  const { nats, lines } = await startNats();
  const servers = [...nats.nats.servers];
  await expect(connect({ servers })).rejects.toMatchObject({ code: 'AUTHORIZATION_VIOLATION' });
  const pass = 'a-wrong-password-of-somebody';
  await expect(connect({ servers, user: 'fermata', pass })).rejects.toMatchObject({ code: 'AUTHORIZATION_VIOLATION' });
  await eventually('a line about it', () => lines.some(({ msg }) => msg.includes('authentication error')));
  const all = JSON.stringify(lines);
  expect(all).not.toContain(pass);
  expect(all).not.toContain(nats.nats.password);
});

test('the log has the server’s lines with its thread and our levels, and no secret of a hub', async () => {
  const hub = await freePort();
  const { nats, lines } = await startNats({ leafRemotes: [`nats://leaf:the%20hub-secret@127.0.0.1:${hub}`] });
  const { msg } = await eventually('a failed try', () => lines.find(({ level }) => level === 50));
  expect(msg).toContain(hub);
  const theirs = lines.filter(({ about }) => about === 'nats');
  expect(theirs).toContainEqual(expect.objectContaining({ level: 20, msg: 'Server is ready' }));
  expect(theirs.filter(({ level }) => level === 40)).toEqual([]);
  await nats.stop(2000);
  const all = JSON.stringify(lines);
  for (const secret of [nats.nats.password!, 'hub-secret']) expect(all).not.toContain(secret);
});

test('beyond loopback it is reached through loopback still, and the log warns', async () => {
  const { nats, lines } = await startNats({ host: '0.0.0.0' });
  onTestFinished(() => nats.stop(1000));
  expect(nats.nats.servers).toEqual([`nats://127.0.0.1:${nats.port}`]);
  expect(lines).toContainEqual(expect.objectContaining({ level: 40, host: '0.0.0.0' }));
});

/** What is checked of the URLs of hubs before anything is started, and what is never shown of them. */
import { expect, test } from 'vitest';
import { leafRemotes, leafSecrets } from '../../src/cli/nats-server-leaf.ts';

test.each([
  'nats://hub.example',
  'nats://leaf:secret@hub.example:7422',
  'nats://token-alone@hub.example:7422',
  'tls://hub.example:7422',
  'nats-leaf://10.0.0.1:7422',
  'ws://hub.example:8080',
  'wss://leaf:p%40ss@hub.example/leafnode',
  'nats://[::1]:7422',
])('%s is a remote, with nothing of ours going either way', (url) => {
  const [remote, ...others] = leafRemotes([url]);
  expect(others).toEqual([]);
  expect(remote!.url).toBe(url);
  expect(remote!.deny_imports).toEqual(remote!.deny_exports);
  expect(remote!.deny_imports).toEqual(
    expect.arrayContaining([
      'fermata.>',
      '$JS.API.>',
      '$JS.ACK.FERMATA_CALLS.>',
      '$KV.fermata_slots.>',
      '$KV.fermata_directory.>',
      '$O.fermata_moves.>',
    ]),
  );
});

test.each([
  ['hub.example:7422', '"hub.example:7422"'],
  ['http://hub.example', '"http://hub.example"'],
  ['nats://', '"nats://"'],
  ['nats://leaf:hidden-one@', '"nats://[hidden]@"'],
  ['nats://leaf:hidden-one@hub.example:99999', '"nats://[hidden]@hub.example:99999"'],
  ['redis://leaf:hidden@one@hub.example', '"redis://[hidden]@hub.example"'],
  ['leaf:hidden-one@hub.example', '"[hidden]@hub.example"'],
  ['nats://leaf:100%hidden-one@hub.example', '"nats://[hidden]@hub.example"'],
  ['nats://hub.example?token=1', '"nats://hub.example?token=1"'],
  ['', '""'],
])('%j is refused by name, without its secret', (url, named) => {
  const check = (): unknown => leafRemotes(['nats://fine.example', url]);
  expect(check).toThrow(named);
  expect(check).not.toThrow(/hidden-one|hidden@one/);
  expect(check).toThrow(expect.objectContaining({ exitCode: 78, hint: expect.stringContaining('--leaf-remotes') }));
});

test('there are ten at most, each another one', () => {
  const urls = Array.from({ length: 11 }, (_, n) => `nats://hub-${n}.example`);
  expect(leafRemotes(urls.slice(0, 10))).toHaveLength(10);
  expect(() => leafRemotes(urls)).toThrow('11 leaf remotes are given; at most 10 are allowed');
  expect(() => leafRemotes(['nats://a.example', 'nats://x:y@a.example:7422'])).toThrow(
    'the leaf remote "nats://[hidden]@a.example:7422" is given twice',
  );
});

test('their secrets are known as they are written and as they are meant', () => {
  const urls = ['nats://leaf:p%40ss@a.example', 'nats://token@b.example', 'nats://c.example'];
  expect(leafSecrets(urls)).toEqual(['p%40ss', 'p@ss', 'token', 'token']);
});

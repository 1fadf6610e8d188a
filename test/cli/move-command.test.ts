import { describe, expect, it } from 'vitest';
import { moveCommand } from '../../src/cli/move-command.ts';
import { parseMoveName, parseMoveState, parsePrepare, parseReceived } from '../../src/cluster/move-questions.ts';
import { fermata } from './command-fixture.ts';

describe('fermata move', () => {
  it.each([
    [[], 'say what to move: --slot or --tenant, one of them'],
    [['--slot', '1', '--tenant', 'acme', '--to', 'x'], 'say what to move: --slot or --tenant, one of them'],
    [['--slot', '64', '--to', 'x'], '--slot must be a whole number from 0 to 63, not "64"'],
    [['--slot', '-1', '--to', 'x'], '--slot'],
    [['--tenant', '../x', '--to', 'x'], '"../x" is not a name that a tenant can have'],
    [['--slot', '1'], '--to is missing'],
  ])('with %j says what is wrong', async (words, message) => {
    const { exitCode, err } = await fermata(['move', ...words]);
    expect(exitCode).toBe(64);
    expect(err).toContain(message);
  });

  it('says when nobody answers', async () => {
    const words = ['move', '--slot', '1', '--to', 'x', '--nats-url', 'nats://127.0.0.1:9'];
    const { exitCode, err } = await fermata(words);
    expect(exitCode).toBe(68);
    expect(err).toContain('no connection to NATS at nats://127.0.0.1:9');
  });

  it('tells in its help what abandoning means', () => {
    expect(moveCommand.flags.find(({ name }) => name === '--abandon-data')?.help).toContain('begin with nothing');
  });
});

describe('what nodes say of a move', () => {
  it('is believed only when it can be', () => {
    expect(() => parseMoveName({ slot: 64, epoch: 1 })).toThrow(/below 64/);
    expect(() => parseMoveName({ slot: 1, epoch: -1 })).toThrow(/"epoch"/);
    expect(() => parsePrepare({ slot: 1, bytes: 'many', format: 2 })).toThrow(/"bytes"/);
    expect(parseReceived({ state: 'receiving', bytes: 'x' })).toEqual({ state: 'none' });
    expect(parseReceived(undefined)).toEqual({ state: 'none' });
    expect(parseMoveState({ slot: 1, to: 'x', step: 'flying', tenants: 0, bytes: 0, shippedBytes: 0 })).toBeUndefined();
  });
});

import { expect, test } from 'vitest';
import { suggestion } from '../../src/protocol/suggestion.ts';

test('a mistyped word finds its neighbour, also with swapped letters and in other case', () => {
  expect(suggestion('sevre', ['serve', 'token', 'inspect'])).toBe('serve');
  expect(suggestion('--prot', ['--port', '--host'])).toBe('--port');
  expect(suggestion('TURNMS', ['turnMs', 'turnEventsMax'])).toBe('turnMs');
});

test('of several neighbours the nearest is suggested', () => {
  expect(suggestion('stateByteMax', ['resultBytesMax', 'stateBytesMax'])).toBe('stateBytesMax');
});

test('a word that resembles nothing gets no suggestion', () => {
  expect(suggestion('frobnicate', ['serve', 'token'])).toBeUndefined();
  expect(suggestion('x', [])).toBeUndefined();
});

import { describe, expect, it, test } from 'vitest';
import { withMargin, withoutControls, withoutTokens } from '../../src/host/log-text.ts';

const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl-_x';

describe('a token in a line', () => {
  test.each([
    ['alone', jwt],
    ['in a sentence', `refused ${jwt}, as it is late`],
    ['in a header', `Authorization: Bearer ${jwt}`],
    ['in a header, opaque', 'Authorization: bearer 0123456789abcdef'],
    ['in a subprotocol', `fermata.v1, bearer.${jwt}`],
    ['in a subprotocol, opaque', 'bearer.0123456789abcdef, fermata.v1'],
    ['in a query', `/ws?x=1&token=${jwt}&y=2`],
    ['in a query, opaque', '/ws?token=0123456789abcdef'],
    ['in a query, escaped', `/ws?access=%20${jwt}`],
    ['without its signature', jwt.slice(0, jwt.lastIndexOf('.'))],
    ['at the end of other letters', `id_${jwt}`],
  ])('is hidden: %s', (_what, msg) => {
    const line = withoutTokens(JSON.stringify({ level: 30, deep: { deeper: { deepest: [msg] } }, msg }));
    expect(line).not.toMatch(/0123456789abcdef|c2lnbmF0dXJl|eyJ/);
    expect(JSON.parse(line)).toMatchObject({ level: 30, msg: expect.stringContaining('[hidden]') as string });
  });

  it('is hidden behind what only looks like the beginning of one', () => {
    expect(withoutTokens('{"msg":"eyJust-bearer 0123456789abcdef"}')).toBe('{"msg":"eyJust-bearer [hidden]"}');
  });

  it('is not seen where there is none', () => {
    for (const msg of ['bearer of good news', 'the token=', 'eyJ is how they begin', 'plain', 'tokens: 5'])
      expect(withoutTokens(JSON.stringify({ msg }))).toBe(JSON.stringify({ msg }));
  });
});

test('a long line of nothing but beginnings of tokens is read once', () => {
  // A message that a client made up; tried from each beginning to its end, this would stop a thread for most of a minute.
  for (const begin of ['eyJ', 'eyJ----', 'bearer ', 'bearer.', 'token=&']) {
    const msg = begin.repeat(Math.ceil((256 * 1024) / begin.length));
    expect(withoutTokens(JSON.stringify({ msg })).length).toBeGreaterThan(0);
  }
});

test('controls become visible, line ends stay, and the line stays JSON', () => {
  const text = 'a\nb\tc\r\u001b[31m\u009b31m\u007f\u202e\u2066\b\f\u0000 "q" \\ \\u001b é';
  const { msg } = JSON.parse(withoutControls(JSON.stringify({ msg: text }))) as { msg: string };
  expect(msg).toBe('a\nb\tc\\r\\u001b[31m\\u009b31m\\u007f\\u202e\\u2066\\b\\f\\u0000 "q" \\ \\u001b é');
});

test('only the first line of an entry begins at the margin', () => {
  expect(withMargin('first\nforged\n  indented\n\nlast\n')).toBe('first\n    forged\n  indented\n\n    last\n');
});

import { expect, test } from 'vitest';
import { readYaml } from './yaml-reading.ts';

test('blocks, flow collections, quotes, comments and documents', () => {
  const text = `
# read_only: false
a: # a comment
  b: 1 # another
  "c d": 'it''s # none'
  e.f/g-h: x#y
  list:
  - one
  - name: two
    deep: {k: "v, w", m: [1, true, null]}
  -
    - inner
---
- http://127.0.0.1:8080/x
- \${APP:?name the folder}
- 15s
- "10001:10001"
`;
  expect(readYaml(text)).toEqual([
    {
      a: {
        b: 1,
        'c d': "it's # none",
        'e.f/g-h': 'x#y',
        list: ['one', { name: 'two', deep: { k: 'v, w', m: [1, true, null] } }, ['inner']],
      },
    },
    ['http://127.0.0.1:8080/x', '${APP:?name the folder}', '15s', '10001:10001'],
  ]);
});

test('a key without a value, and one that is only in a comment', () => {
  expect(readYaml('volumes:\n  data:\n  # backups:\n')).toEqual([{ volumes: { data: null } }]);
});

test.each([
  ['a: 1\na: 2', 'line 2: a second a'],
  ['a: {b: 1, b: 2}', 'line 1: a second b'],
  ['a: yes', 'line 1: "yes" without quotes'],
  ['a: &anchor 1', 'line 1: "&anchor 1"'],
  ['a: |\n  text', 'line 1: "|"'],
  ['a:\n\tb: 1', 'line 2: a tab'],
  ['a:\n    b: 1\n  c: 2', 'line 3: an indentation'],
  ['a: [1, 2', 'line 1: a collection that does not end'],
  ['a: "b" c', 'line 1: a quote that does not end'],
  ['a: b: c', 'line 1: "b: c"'],
  ['a: 1\nb', 'line 2: no key and value'],
])('refused: %s', (text, words) => {
  expect(() => readYaml(text)).toThrow(words);
});

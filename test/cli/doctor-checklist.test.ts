/** The checks of `fermata doctor --production` and those of docs/deploy.md are the same; wrong settings are told and not judged. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { byHand, productionChecks, productionFindings } from '../../src/cli/doctor-production.ts';
import { complaints, goodEnv, goodFacts } from './doctor-good-facts.ts';

describe('a wrong configuration', () => {
  test('is told whole, and what it touches is not judged', () => {
    const facts = goodFacts({ ...goodEnv, AUTH_JWT_SECRET: 'short', HOST: 'http://x', LIMITS: 'turnMs=soon' });
    const findings = productionFindings(facts);
    expect(findings[0]).toMatchObject({ check: 'configuration', status: 'fail' });
    for (const word of ['AUTH_JWT_SECRET', 'HOST', 'turnMs']) expect(findings[0]?.message).toContain(word);
    const unjudged = findings.filter(({ message }) => message.startsWith('not judged')).map(({ check }) => check);
    const expected = ['authentication', 'keys', 'algorithms', 'address', 'port', 'memory', 'open files'];
    expect(unjudged.toSorted()).toEqual(expected.toSorted());
  });

  test('without keys is judged as one without keys, not as one that cannot be read', () => {
    const { AUTH_JWT_SECRET: _, ...env } = goodEnv;
    expect(complaints(goodFacts(env))).toEqual({ configuration: 'fail', authentication: 'fail', keys: 'fail' });
  });

  test('two ways to verify tokens are both named', () => {
    const env = { ...goodEnv, AUTH_JWKS_URL: 'https://login.example.com/keys' };
    const expected = { configuration: 'fail', authentication: 'warn', keys: 'warn', algorithms: 'warn' };
    expect(complaints(goodFacts(env))).toEqual(expected);
  });

  test('a flag is found as well as a variable', () => {
    const facts = goodFacts(goodEnv, new Map([['--shards', ['many']]]));
    expect(complaints(facts)).toEqual({ configuration: 'fail', cores: 'warn', memory: 'warn', 'open files': 'warn' });
  });
});

describe('docs/deploy.md', () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/deploy.md'), 'utf8');
  /** First cells of the table below a heading. */
  const rowsBelow = (heading: string): string[] => {
    const section = text.split(`\n### ${heading}\n`)[1]?.split('\n#')[0] ?? '';
    const rows = [...section.matchAll(/^\| ([^|]+?) \| /gm)].map(([, cell]) => cell!.replaceAll('`', ''));
    return rows.filter((cell) => !/^-+$/.test(cell)).slice(1);
  };

  test('has one row for each check, in its order', () => {
    expect(rowsBelow('What the command looks at')).toEqual(productionChecks.map(({ name }) => name));
  });

  test('has one row for each thing that is to be looked at by hand', () => {
    expect(rowsBelow('What only you can see')).toEqual(byHand.map(([what]) => what));
  });
});

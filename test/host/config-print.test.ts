import { expect, test } from 'vitest';
import { printConfig, printConfigJson } from '../../src/host/config-print.ts';
import { flagOf, settingNames } from '../../src/host/config-settings.ts';
import { file, load, secret } from './config-fixture.ts';

const loaded = load(
  { '--port': '0', '--limit': 'turnMs=5000' },
  { AUTH_JWT_SECRET: secret, LOG_LEVEL: 'debug', NATS_URL: 'nats://user:hush@127.0.0.1:4222' },
);

test('the table shows every value with its origin', () => {
  const lines = printConfig(loaded)
    .split('\n')
    .map((line) => line.replace(/ {2,}/g, ' | '));
  expect(lines).toContain('port | 0 | --port');
  expect(lines).toContain('log-level | debug | LOG_LEVEL (environment)');
  expect(lines).toContain('host | 127.0.0.1 | default');
  expect(lines).toContain('admin-port | none | default');
  expect(lines).toContain('limit turnMs | 5000 | --limit');
  expect(lines).toContain('limit frameBytesMax | 65536 | default');
});

test('secrets and passwords are hidden in both forms', () => {
  for (const text of [printConfig(loaded), printConfigJson(loaded)]) {
    expect(text).toContain(`[hidden, ${secret.length} bytes]`);
    expect(text).not.toContain(secret);
    expect(text).not.toContain('hush');
  }
});

test('a secret from a file is printed under the file that it came from', () => {
  const fromFile = load({}, { AUTH_JWT_SECRET_FILE: file('secret2', secret) });
  expect(printConfig(fromFile)).toMatch(/auth-jwt-secret +\[hidden, 38 bytes\] +AUTH_JWT_SECRET_FILE \(environment\)/);
});

test('JSON holds value and source of every setting', () => {
  const printed = JSON.parse(printConfigJson(loaded)) as Record<string, unknown>;
  expect(printed.port).toEqual({ value: 0, source: 'flag', setBy: '--port' });
  expect(printed['log-level']).toEqual({ value: 'debug', source: 'env', setBy: 'LOG_LEVEL' });
  expect(printed['admin-port']).toEqual({ value: null, source: 'default' });
  for (const name of settingNames) {
    if (name !== 'LIMITS' && name !== 'AUTH_JWT_SECRET_FILE') expect(printed).toHaveProperty([flagOf(name).slice(2)]);
  }
});

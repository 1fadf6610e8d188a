import { describe, expect, test } from 'vitest';
import { file, problems, secret } from './config-fixture.ts';

describe('what is refused', () => {
  test('all mistakes are told together, each with where it came from', () => {
    const found = problems(
      { '--port': '80800', '--limit': 'turnMS=1' },
      { SHARDS: 'many', LOG_LEVEL: 'wran', AUTH_JWT_SECRET: 'short' },
    );
    expect(found).toEqual([
      '--limit: there is no limit "turnMS"; did you mean turnMs?',
      '--port: "80800" is no whole number from 0 to 65535; 0 takes a free one',
      expect.stringMatching(/^SHARDS \(environment\): "many" is no whole number from 1 to \d+$/),
      'LOG_LEVEL (environment): "wran" is none of fatal, error, warn, info, debug, trace, silent; did you mean warn?',
      'AUTH_JWT_SECRET (environment): has 5 bytes, HS256 needs at least 32; make one with: openssl rand -base64 48',
    ]);
  });

  test.each([
    ['PORT', '-1', 'no whole number'],
    ['PORT', '8080.5', 'no whole number'],
    ['PORT', '0x50', 'no whole number'],
    ['SHARDS', '0', 'no whole number'],
    ['HOST', 'http://localhost', 'without scheme and port'],
    ['HOST', '127.0.0.1:80', 'without scheme and port'],
    ['HOST', '999.1.1.1', 'is no address'],
    ['SHUTDOWN_TIMEOUT_MS', '10s', 'milliseconds'],
    ['ALLOWED_ORIGINS', '*', 'name each origin'],
    ['ALLOWED_ORIGINS', 'app.example.com', 'write scheme, host and port'],
    ['ALLOWED_ORIGINS', 'https://app.example.com/', 'write "https://app.example.com"'],
    ['ALLOWED_ORIGINS', 'https://app.example.com:443', 'write "https://app.example.com"'],
    ['AUTH_ALGORITHMS', 'none', 'no signature that can be accepted'],
    ['AUTH_ALGORITHMS', 'HS265', 'did you mean HS256?'],
    ['AUTH_ALGORITHMS', 'RS256', 'needs AUTH_JWKS_URL or AUTH_JWKS_FILE'],
    ['AUTH_JWKS_URL', 'http://id.example/keys', 'use an https URL'],
    ['AUTH_JWKS_URL', 'id.example', 'no https URL'],
    ['AUTH_JWKS_FILE', '/does/not/exist', 'does not exist'],
    ['AUTH_JWT_SECRET_FILE', '/does/not/exist', 'does not exist'],
    ['AUTH_QUERY_TOKEN', 'maybe', 'neither true nor false'],
    ['LIMITS', 'turnMs', 'write name=value'],
    ['LIMITS', 'turnMs=1e3', 'must be a whole number'],
    ['LIMITS', 'turnMs=0', 'must be at least 1'],
    ['LIMITS', 'socketIdleS=4', 'must be 8 to 960'],
    ['LIMITS', 'connectionCallsMax=20000', 'must not exceed tenantCallsMax'],
  ])('%s=%s', (name, text, expected) => {
    const found = problems({}, { [name]: text });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(new RegExp(`^${name} \\(environment\\): `));
    expect(found[0]).toContain(expected);
  });

  test('a key set file must hold a key set', () => {
    expect(problems({}, { AUTH_JWKS_FILE: file('no-keys.json', '[]') })[0]).toContain(
      'holds no JSON of the form {"keys":[…]}',
    );
    expect(problems({}, { AUTH_JWKS_FILE: file('no.json', 'kty: RSA') })[0]).toContain(
      'holds no JSON of the form {"keys":[…]}',
    );
  });

  test('keys over plain http are fine from loopback', () => {
    for (const host of ['localhost', '127.0.0.1', '[::1]'])
      expect(problems({}, { AUTH_JWKS_URL: `http://${host}:9/keys` })).toEqual([]);
  });

  test('a public key is never taken for a shared secret', () => {
    const [problem] = problems({}, { AUTH_JWKS_URL: 'https://id.example/keys', AUTH_ALGORITHMS: 'RS256,HS256' });
    expect(problem).toMatch(/^AUTH_ALGORITHMS \(environment\): HS256 needs a shared secret/);
  });

  test('more than one source of keys is refused, naming all of them', () => {
    const found = problems({ '--auth-jwks-url': 'https://id.example/keys' }, { AUTH_JWT_SECRET: secret });
    expect(found).toEqual([
      'AUTH_JWT_SECRET (environment), --auth-jwks-url: tokens are verified in one way only; keep one of these and remove the others',
    ]);
  });

  test('a secret must be as long as the widest hash that it serves', () => {
    expect(problems({}, { AUTH_JWT_SECRET: secret, AUTH_ALGORITHMS: 'HS256,HS512' })[0]).toContain('needs at least 64');
  });

  test('a secret is counted in bytes and never repeated', () => {
    const short = 'ééééééé-hush';
    const found = problems({}, { AUTH_JWT_SECRET: short });
    expect(found[0]).toContain('has 19 bytes');
    expect(found.join()).not.toContain('hush');
  });

  test('clients and health checks cannot share a port', () => {
    expect(problems({}, { PORT: '9000', ADMIN_PORT: '9000' })[0]).toMatch(
      /^ADMIN_PORT \(environment\): 9000 is the port of the clients already/,
    );
    expect(problems({}, { PORT: '0', ADMIN_PORT: '0' })).toEqual([]);
  });
});

describe('what serving asks for', () => {
  const serving = { app: 'app.ts', sockets: true };

  test('without keys it refuses and explains all three ways and --dev', () => {
    const [problem, ...others] = problems({}, {}, serving);
    expect(others).toEqual([]);
    for (const word of ['AUTH_JWT_SECRET', 'AUTH_JWKS_URL', 'AUTH_JWKS_FILE', '--dev']) expect(problem).toContain(word);
  });

  test('a secret that is too short is told once, not also as missing', () => {
    expect(problems({}, { AUTH_JWT_SECRET: 'short' }, serving)).toHaveLength(1);
    expect(problems({}, { AUTH_JWT_SECRET_FILE: '/does/not/exist' }, serving)).toHaveLength(1);
  });

  test('development listens on loopback only', () => {
    for (const host of ['127.0.0.1', '127.8.8.8', 'localhost', '::1'])
      expect(problems({ '--dev': 'true', '--host': host }, {}, serving)).toEqual([]);
    for (const host of ['0.0.0.0', '::', '192.168.0.4', 'example.com']) {
      expect(problems({ '--dev': 'true' }, { HOST: host }, serving)[0]).toMatch(
        /^HOST \(environment\): --dev asks for no tokens/,
      );
    }
  });

  test('with keys any address is fine', () => {
    expect(problems({ '--host': '0.0.0.0' }, { AUTH_JWT_SECRET: secret }, serving)).toEqual([]);
  });
});

describe('NATS', () => {
  const url = { NATS_URL: 'nats://127.0.0.1:4222' };

  test('an address that is none is told without what may be a password in it', () => {
    const [problem] = problems({}, { NATS_URL: 'nats://a:4222,http://me:hush@b' });
    expect(problem).toBe(
      'NATS_URL (environment): address 2 of 2 is no address of NATS, such as nats://127.0.0.1:4222 or tls://nats.example.com:4222',
    );
  });

  test('an address has no path, which may be the rest of a token, unless a proxy stands before a hub', () => {
    expect(problems({}, { NATS_URL: 'nats://tok/en@host:4222' })).toHaveLength(1);
    expect(problems({}, { NATS_URL: 'nats://host:4222/' })).toEqual([]);
    const hubs = (list: string) => problems({ '--nats': 'managed', '--leaf-remotes': list });
    expect(hubs('nats-leaf://tok/en@hub:7422')).toHaveLength(1);
    expect(hubs('wss://hub.example.com/nats')).toEqual([]);
  });

  test('a setting of NATS without NATS means nothing, and that is said', () => {
    expect(problems({}, { NATS_TOKEN: 'word' })).toEqual([
      'NATS_TOKEN (environment): means nothing without NATS servers; set NATS_URL',
    ]);
    expect(problems({ '--leaf-remotes': 'nats-leaf://hub:7422' }, url)).toEqual([
      '--leaf-remotes: means nothing without a nats-server of our own; add --nats managed',
    ]);
  });

  test('there is one way to say who we are, and its halves belong together', () => {
    expect(problems({}, { ...url, NATS_TOKEN: 'word', NATS_USER: 'me', NATS_PASSWORD: 'hush' })).toHaveLength(1);
    expect(problems({}, { ...url, NATS_USER: 'me' })[0]).toContain('user and password belong together');
  });

  test('a managed server brings its address, and is a leaf of ten hubs at most', () => {
    expect(problems({ '--nats': 'managed' }, url)[0]).toContain('a managed nats-server brings its own address');
    const hubs = Array.from({ length: 11 }, (_, n) => `nats-leaf://hub${n}:7422`).join();
    expect(problems({ '--nats': 'managed', '--leaf-remotes': hubs })[0]).toContain('names 11 hubs; at most 10');
  });

  test('a gateway or a runtime alone cannot do without it', () => {
    expect(problems({}, {}, { needsNats: true })[0]).toContain('gateways and runtimes are joined by NATS');
    expect(problems({}, url, { needsNats: true })).toEqual([]);
  });
});

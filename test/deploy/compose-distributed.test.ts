/** The profile `distributed` of docker-compose.yml, point by point. That one process runs as before: compose.test.ts. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { settings } from '../../src/host/config-settings.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { root } from '../support/server.ts';
import { composeFile, environmentOf, serviceNamed } from './compose-file.ts';
import { configOf, stagesOf } from './dockerfile.ts';
import { printConfig, type Printed } from './print-config.ts';
import { bytesOf, secondsOf } from './quantities.ts';
import { at, type Yaml } from './yaml-reading.ts';

const image = configOf(stagesOf(readFileSync(join(root, 'Dockerfile'), 'utf8')).at(-1)!);
const gateways = ['gateway-1', 'gateway-2'];
const runtimes = ['runtime-1', 'runtime-2'];
const processes = [...gateways, ...runtimes];
const names = ['nats', ...processes, 'nginx-distributed'];
const folder = mkdtempSync(join(tmpdir(), 'fermata-compose-'));
const secretFile = join(folder, 'jwt-secret');
writeFileSync(secretFile, 'c'.repeat(48));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('the profile has these services, and those without it know nothing of them', () => {
  const all = Object.entries(at(composeFile, 'services') as Record<string, Yaml>);
  const inProfile = all.filter(([, service]) => 'profiles' in (service as object));
  expect(inProfile.map(([name]) => name)).toEqual(names);
  for (const [, service] of inProfile) expect(at(service, 'profiles')).toEqual(['distributed']);
  const others = JSON.stringify(all.filter(([name]) => !names.includes(name)).map(([, service]) => service));
  expect(others).not.toMatch(/nats|gateway-|runtime-/i);
});

test('a variable that only the profile needs is missed by nobody else', () => {
  const [nats, gateway] = [serviceNamed('nats'), serviceNamed('gateway-1')];
  for (const service of [nats, gateway]) expect(() => environmentOf(service, {})).not.toThrow();
  const required = [...JSON.stringify(composeFile).matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name);
  expect(new Set(required)).toEqual(new Set(['FERMATA_APP', 'FERMATA_TLS', 'FERMATA_SECRET']));
});

test('naming its nginx starts all of it, and nothing else', () => {
  const started = new Set<string>();
  const start = (name: string): void => {
    if (started.has(name)) return;
    started.add(name);
    const service = serviceNamed(name) as Record<string, Yaml>;
    for (const [other, condition] of Object.entries((service['depends_on'] ?? {}) as Record<string, Yaml>)) {
      expect(condition).toEqual({ condition: 'service_healthy' });
      start(other);
    }
  };
  start('nginx-distributed');
  expect([...started].sort()).toEqual([...names].sort());
});

test('only nginx is reached from outside, and NATS by its own network alone', () => {
  for (const name of names) {
    const { ports, network_mode: mode } = serviceNamed(name) as Record<string, Yaml>;
    for (const port of (ports ?? []) as string[]) expect(port).toMatch(/^127\.0\.0\.1:/);
    expect(mode).toBe(name === 'nginx-distributed' ? 'host' : undefined);
    expect(ports === undefined).toBe(!gateways.includes(name));
  }
  expect(at(composeFile, 'networks')).toEqual({ nats: { internal: true } });
  expect(at(serviceNamed('nats'), 'networks')).toEqual(['nats']);
  for (const name of processes) expect(at(serviceNamed(name), 'networks')).toEqual(['default', 'nats']);
});

describe.each(names)('%s', (name) => {
  const service = serviceNamed(name);

  test('cannot write outside its mounts, and has no rights to spare', () => {
    expect(at(service, 'read_only')).toBe(true);
    expect(at(service, 'cap_drop')).toEqual(['ALL']);
    expect(at(service, 'security_opt')).toEqual(['no-new-privileges:true']);
    expect(Object.keys(service as object)).not.toContain('privileged');
    if (name !== 'nginx-distributed') expect(Object.keys(service as object)).not.toContain('cap_add');
  });

  test('has bounds, comes back, and its log does not fill the disk', () => {
    for (const bound of ['cpus', 'memory', 'pids'])
      expect(at(service, 'deploy', 'resources', 'limits', bound)).not.toBeNull();
    expect(at(service, 'ulimits', 'nofile')).toBe(65536);
    expect(at(service, 'restart')).toBe('unless-stopped');
    expect(at(service, 'logging', 'driver')).toBe('local');
  });

  test('is of a version that is named, and has a health check with an end', () => {
    expect(at(service, 'image')).toMatch(/^(fermata|nats:2\.12-alpine|nginx:1\.30-trixie)$/);
    const { interval, timeout, start_period: begin, retries } = at(service, 'healthcheck') as Record<string, Yaml>;
    for (const time of [interval, timeout, begin]) expect(secondsOf(time)).toBeGreaterThan(0);
    expect(retries).toBe(3);
  });
});

describe.each(processes)('%s', (name) => {
  const service = serviceNamed(name);
  const [command, ...positionals] = at(service, 'command') as [string, ...string[]];

  test('gets longer to stop than it takes at most', () => {
    expect(at(service, 'stop_grace_period')).toBe('15s');
    expect(15_000).toBeGreaterThanOrEqual(Number(settings.SHUTDOWN_TIMEOUT_MS.fallback) + 5000);
    expect(Object.keys(at(service, 'environment') as object)).not.toContain('SHUTDOWN_TIMEOUT_MS');
  });

  test('is the image of the Dockerfile with another command, which its entry point takes', () => {
    expect(at(service, 'build')).toBe('.');
    for (const key of ['user', 'entrypoint', 'init', 'stop_signal'])
      expect(Object.keys(service as object)).not.toContain(key);
    expect([command, ...positionals]).toEqual(gateways.includes(name) ? ['gateway'] : ['runtime', '/app/app.js']);
  });

  test('starts with what it is given, and each variable is read', async () => {
    const { exitCode, out, err } = await printed(service, { FERMATA_NATS_PASSWORD: 'f00d' });
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    const read = new Set([...out.matchAll(/ (\w+) \(environment\)$/gm)].map(([, variable]) => variable));
    const given = environmentOf(service, { FERMATA_ORIGINS: 'https://app.example.com' });
    for (const variable of Object.keys(given).filter((one) => given[one] !== '')) expect(read).toContain(variable);
    expect(out).toMatch(/^nats-url +nats:\/\/nats:4222 /m);
  });

  test('says what is missing when nobody has chosen a password', async () => {
    const { exitCode, err } = await printed(service, {});
    expect(exitCode).toBe(78);
    expect(err).toContain('NATS_USER (environment): user and password belong together');
  });
});

describe('gateways', () => {
  test('are the same, but for the port at which nginx finds them', () => {
    expect(withoutKeys('gateway-2', ['ports'])).toEqual(withoutKeys('gateway-1', ['ports']));
    const ports = gateways.flatMap((name) => at(serviceNamed(name), 'ports') as string[]);
    expect(ports).toEqual([`127.0.0.1:8080:${image.env['PORT']}`, `127.0.0.1:8081:${image.env['PORT']}`]);
  });

  test('are asked for their health as the image does it', () => {
    const { interval, timeout, startPeriod, retries } = image.healthCheck!;
    const expected = { interval, timeout, start_period: startPeriod, retries };
    expect(at(serviceNamed('gateway-1'), 'healthcheck')).toEqual(expected);
  });

  test('keep nothing, and get their secret as a file', () => {
    expect(Object.keys(serviceNamed('gateway-1') as object)).not.toContain('volumes');
    expect(at(serviceNamed('gateway-1'), 'secrets')).toEqual(['jwt-secret']);
    expect(at(serviceNamed('gateway-1'), 'environment', 'AUTH_JWT_SECRET_FILE')).toBe('/run/secrets/jwt-secret');
    expect(at(serviceNamed('gateway-1'), 'ulimits', 'nofile')).toBeGreaterThan(defaultLimits.socketsMax * 2);
  });
});

describe('runtimes', () => {
  test('are the same, but for volumes that are their own', () => {
    expect(withoutKeys('runtime-2', ['volumes'])).toEqual(withoutKeys('runtime-1', ['volumes']));
    const volumes = runtimes.map((name) => at(serviceNamed(name), 'volumes') as Yaml[]);
    expect(volumes.map((list) => list.slice(0, 2))).toEqual([
      [`data-1:${image.env['DATA_DIR']}`, 'backups-1:/backups'],
      [`data-2:${image.env['DATA_DIR']}`, 'backups-2:/backups'],
    ]);
    expect(volumes[0]!.slice(2)).toEqual(volumes[1]!.slice(2));
    expect(volumes[0]![2]).toMatchObject({ type: 'bind', read_only: true, bind: { create_host_path: false } });
    for (const name of ['data-1', 'backups-1', 'data-2', 'backups-2', 'nats'])
      expect(at(composeFile, 'volumes', name)).toEqual({});
  });

  test('are asked for their health as the image does it, but at the admin port', () => {
    const { command, interval, timeout, startPeriod, retries } = image.healthCheck!;
    const asks = command.map((word) => word.replace('process.env.PORT', 'process.env.ADMIN_PORT'));
    expect(asks).not.toEqual(command);
    expect(at(serviceNamed('runtime-1'), 'healthcheck')).toEqual({
      test: ['CMD', ...asks],
      interval,
      timeout,
      start_period: startPeriod,
      retries,
    });
    // On loopback, as long as nobody names another address.
    expect(Object.keys(at(serviceNamed('runtime-1'), 'environment') as object)).not.toContain('ADMIN_HOST');
    expect(at(serviceNamed('runtime-1'), 'environment', 'ADMIN_PORT')).toMatch(/^\d+$/);
  });

  test('have memory for their shards and for what lies in /tmp, and no secret of clients', () => {
    const service = serviceNamed('runtime-1');
    const shards = Number(at(service, 'environment', 'SHARDS'));
    const needed = shards * defaultLimits.shardHeapMbMax * 2 ** 20 + bytesOf('256m');
    expect(at(service, 'tmpfs')).toEqual(['/tmp:size=256m,mode=1777,nosuid,nodev,noexec']);
    expect(bytesOf(at(service, 'deploy', 'resources', 'limits', 'memory'))).toBeGreaterThan(needed);
    expect(at(service, 'ulimits', 'nofile')).toBeGreaterThan(4 * defaultLimits.tenantFilesOpenMax);
    expect(Object.keys(service as object)).not.toContain('secrets');
  });
});

describe('nats', () => {
  const nats = serviceNamed('nats');

  test('reads the file of this repository, and keeps its store in a volume', () => {
    expect(at(nats, 'command')).toEqual(['--config', '/etc/nats/nats.conf']);
    expect(at(nats, 'volumes')).toEqual(['nats:/data', './deploy/nats/nats.conf:/etc/nats/nats.conf:ro']);
  });

  test('is told the user and the password that the others come with', () => {
    const variables = { FERMATA_NATS_PASSWORD: '1e9' };
    const own = environmentOf(nats, variables);
    for (const name of processes)
      expect(environmentOf(serviceNamed(name), variables)).toMatchObject({
        NATS_USER: own['NATS_USER'],
        NATS_PASSWORD: JSON.parse(own['NATS_PASSWORD']!) as string,
      });
  });

  test('stops before it is killed, and is asked from inside', () => {
    expect(at(nats, 'stop_grace_period')).toBe('15s');
    expect(at(nats, 'healthcheck', 'test')).toEqual(
      'CMD wget --quiet --output-document=/dev/null http://127.0.0.1:8222/healthz'.split(' '),
    );
  });

  test('is told a goal for its memory that lies below its bound', () => {
    expect(at(nats, 'environment', 'GOMEMLIMIT')).toBe('750MiB');
    expect(bytesOf(at(nats, 'deploy', 'resources', 'limits', 'memory'))).toBeGreaterThan(750 * 2 ** 20);
  });
});

describe('nginx-distributed', () => {
  test('is the other nginx, but for the gateways behind it', () => {
    const differs = ['profiles', 'depends_on', 'volumes'];
    expect(withoutKeys('nginx-distributed', differs)).toEqual(withoutKeys('nginx', differs));
    const gatewaysFolder = './deploy/nginx/gateways:/etc/nginx/gateways:ro';
    const volumes = at(serviceNamed('nginx-distributed'), 'volumes') as Yaml[];
    expect(volumes.filter((one) => one !== gatewaysFolder)).toEqual(at(serviceNamed('nginx'), 'volumes'));
    expect(volumes).toContain(gatewaysFolder);
  });
});

async function printed(service: Yaml, variables: Record<string, string>): Promise<Printed> {
  const own = environmentOf(service, { FERMATA_ORIGINS: 'https://app.example.com', ...variables });
  if (own['AUTH_JWT_SECRET_FILE'] !== undefined) own['AUTH_JWT_SECRET_FILE'] = secretFile;
  return await printConfig(at(service, 'command') as string[], { ...image.env, ...own });
}

function withoutKeys(name: string, keys: readonly string[]): object {
  const entries = Object.entries(serviceNamed(name) as Record<string, Yaml>);
  return Object.fromEntries(entries.filter(([key]) => !keys.includes(key)));
}

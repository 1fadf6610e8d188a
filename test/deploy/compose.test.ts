/** docker-compose.yml without its profile, point by point. What it says about nginx is held against nginx.conf. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { settingNames, settings } from '../../src/host/config-settings.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { root } from '../support/server.ts';
import { configOf, stagesOf } from './dockerfile.ts';
import { bytesOf, secondsOf } from './quantities.ts';
import { at, readYaml } from './yaml-reading.ts';

const [compose] = readYaml(readFileSync(join(root, 'docker-compose.yml'), 'utf8'));
const nginxConf = readFileSync(join(root, 'nginx.conf'), 'utf8').replace(/#.*$/gm, '');
const image = configOf(stagesOf(readFileSync(join(root, 'Dockerfile'), 'utf8')).at(-1)!);
const fermata = at(compose!, 'services', 'fermata');
const nginx = at(compose!, 'services', 'nginx');

test('without a profile there are two services', () => {
  const services = Object.entries(at(compose!, 'services') as Record<string, object>);
  expect(services.filter(([, service]) => !('profiles' in service)).map(([name]) => name)).toEqual([
    'fermata',
    'nginx',
  ]);
});

describe.each([
  ['fermata', fermata],
  ['nginx', nginx],
])('%s', (_name, service) => {
  test('cannot write outside its mounts, and has no rights to spare', () => {
    expect(at(service, 'read_only')).toBe(true);
    expect(at(service, 'cap_drop')).toEqual(['ALL']);
    expect(at(service, 'security_opt')).toEqual(['no-new-privileges:true']);
    expect(Object.keys(service as object)).not.toContain('privileged');
  });

  test('has bounds, comes back, and its log does not fill the disk', () => {
    for (const name of ['cpus', 'memory', 'pids'])
      expect(at(service, 'deploy', 'resources', 'limits', name)).not.toBeNull();
    expect(at(service, 'ulimits', 'nofile')).toBe(65536);
    expect(at(service, 'restart')).toBe('unless-stopped');
    expect(at(service, 'logging', 'driver')).toBe('local');
  });

  test('mounts folders of the machine read-only, and only those that are there', () => {
    for (const mount of at(service, 'volumes') as object[]) {
      if (typeof mount === 'string') continue;
      expect(mount).toMatchObject({ type: 'bind', read_only: true, bind: { create_host_path: false } });
    }
  });
});

describe('fermata', () => {
  test('gets longer to stop than it takes at most', () => {
    expect(at(fermata, 'stop_grace_period')).toBe('15s');
    expect(15_000).toBeGreaterThanOrEqual(Number(settings.SHUTDOWN_TIMEOUT_MS.fallback) + 5000);
    expect(Object.keys(at(fermata, 'environment') as object)).not.toContain('SHUTDOWN_TIMEOUT_MS');
  });

  test('is the image of the Dockerfile, as its user and by its own command', () => {
    expect(at(fermata, 'build')).toBe('.');
    expect(at(fermata, 'command')).toEqual(image.command);
    for (const name of ['user', 'entrypoint', 'init', 'stop_signal'])
      expect(Object.keys(fermata as object)).not.toContain(name);
  });

  test('keeps data and backups in volumes with names', () => {
    const volumes = at(fermata, 'volumes') as unknown[];
    expect(volumes.slice(0, 2)).toEqual([`data:${image.env['DATA_DIR']}`, 'backups:/backups']);
    expect(at(fermata, 'environment', 'BACKUP_DIR')).toBe('/backups');
    expect(at(compose!, 'volumes')).toMatchObject({ data: {}, backups: {} });
  });

  test('knows every setting that it is given, and gets secrets as a file', () => {
    const environment = at(fermata, 'environment') as Record<string, unknown>;
    for (const name of Object.keys(environment)) expect(settingNames as readonly string[]).toContain(name);
    expect(environment['AUTH_JWT_SECRET_FILE']).toBe('/run/secrets/jwt-secret');
    expect(at(fermata, 'secrets')).toEqual(['jwt-secret']);
    expect(at(compose!, 'secrets', 'jwt-secret', 'file')).toMatch(/^\$\{FERMATA_SECRET:\?/);
  });

  test('has memory for its shards and for what lies in /tmp', () => {
    const [tmp] = at(fermata, 'tmpfs') as string[];
    expect(tmp).toMatch(/^\/tmp:size=256m,mode=1777,/);
    const shards = Number(at(fermata, 'environment', 'SHARDS'));
    const needed = shards * defaultLimits.shardHeapMbMax * 2 ** 20 + bytesOf('256m');
    expect(bytesOf(at(fermata, 'deploy', 'resources', 'limits', 'memory'))).toBeGreaterThan(needed);
  });

  test('has enough descriptors for its sockets and tenant files', () => {
    expect(at(fermata, 'ulimits', 'nofile')).toBeGreaterThan(
      defaultLimits.socketsMax + 4 * defaultLimits.tenantFilesOpenMax,
    );
  });

  test('is asked for its health as the image does it', () => {
    const check = image.healthCheck!;
    expect(at(fermata, 'healthcheck')).toEqual({
      interval: check.interval,
      timeout: check.timeout,
      start_period: check.startPeriod,
      retries: check.retries,
    });
  });

  test('is reached from this machine only, where nginx looks for it', () => {
    expect(at(fermata, 'ports')).toEqual([`127.0.0.1:8080:${image.env['PORT']}`]);
    expect(/^\s*server (127\.0\.0\.1:\d+)/m.exec(nginxConf)?.[1]).toBe('127.0.0.1:8080');
  });
});

describe('nginx', () => {
  test('has the network of the machine, and waits until there is something to serve', () => {
    expect(at(nginx, 'network_mode')).toBe('host');
    expect(at(nginx, 'depends_on')).toEqual({ fermata: { condition: 'service_healthy' } });
  });

  test('has the configuration and the certificates where it looks for them', () => {
    const [conf, tls] = at(nginx, 'volumes') as [string, { target: string }];
    expect(conf).toBe('./nginx.conf:/etc/nginx/nginx.conf:ro');
    const files = [...nginxConf.matchAll(/^\s*ssl_certificate(?:_key)?\s+(\S+);/gm)].map(([, path]) => path);
    expect(files).toEqual([`${tls.target}/fermata.crt`, `${tls.target}/fermata.key`]);
  });

  test('may write where it has to', () => {
    const places = (at(nginx, 'tmpfs') as string[]).map((line) => line.split(':')[0]);
    expect(places).toEqual(['/run', '/var/cache/nginx']);
    expect(/^\s*pid\s+(\S+);/m.exec(nginxConf)?.[1]).toBe('/run/nginx.pid');
  });

  test('stops gently, and gets the time for it', () => {
    expect(at(nginx, 'stop_signal')).toBe('SIGQUIT');
    const drain = /^\s*worker_shutdown_timeout\s+(\w+);/m.exec(nginxConf)?.[1];
    expect(secondsOf(at(nginx, 'stop_grace_period'))).toBeGreaterThan(secondsOf(drain));
  });

  test('has a health check that the server behind it does not decide', () => {
    expect(at(nginx, 'healthcheck', 'test')).toEqual(
      'CMD curl --fail --silent --output /dev/null http://127.0.0.1/'.split(' '),
    );
    expect(nginxConf).toMatch(/listen 80 default_server;/);
  });

  test('has descriptors for what it is configured to take', () => {
    const files = Number(/worker_rlimit_nofile\s+(\d+);/.exec(nginxConf)?.[1]);
    expect(at(nginx, 'ulimits', 'nofile')).toBeGreaterThanOrEqual(files);
  });
});

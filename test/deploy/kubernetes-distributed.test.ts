/** The examples of several machines for Kubernetes, point by point, and held against each other, the image and the server. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { settings } from '../../src/host/config-settings.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { root } from '../support/server.ts';
import { configOf, stagesOf } from './dockerfile.ts';
import { printConfig } from './print-config.ts';
import { bytesOf } from './quantities.ts';
import { at, readYaml, type Yaml } from './yaml-reading.ts';

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: Yaml;
}

const folder = join(root, 'deploy/kubernetes/distributed');
const texts = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
const documents = texts.flatMap(readYaml);
const [single] = readYaml(readFileSync(join(root, 'deploy/kubernetes/stateful-set.yaml'), 'utf8'));
const [chart] = readYaml(readFileSync(join(root, 'deploy/nats/helm-values.yaml'), 'utf8'));
const image = configOf(stagesOf(readFileSync(join(root, 'Dockerfile'), 'utf8')).at(-1)!);
const gateways = named('Deployment', 'fermata-gateway');
const runtimes = named('StatefulSet', 'fermata-runtime');
const shared = at(named('ConfigMap', 'fermata-nats'), 'data') as Record<string, string>;
const stopS = Number(settings.SHUTDOWN_TIMEOUT_MS.fallback) / 1000;
const secretFolder = mkdtempSync(join(tmpdir(), 'fermata-kubernetes-'));
const secretFile = join(secretFolder, 'jwt-secret');
writeFileSync(secretFile, 'k'.repeat(48));

afterAll(() => rmSync(secretFolder, { recursive: true, force: true }));

test('each file begins with what it is for, and the names are not those of one process', () => {
  for (const text of texts) expect(text).toMatch(/^# \w/);
  expect(
    documents.map((one) => `${at(one, 'kind') as string} ${at(one, 'metadata', 'name') as string}`).sort(),
  ).toEqual([
    'ConfigMap fermata-nats',
    'Deployment fermata-gateway',
    'Ingress fermata-gateway',
    'PodDisruptionBudget fermata-gateway',
    'PodDisruptionBudget fermata-runtime',
    'Service fermata-gateway',
    'Service fermata-runtime',
    'StatefulSet fermata-runtime',
  ]);
});

describe.each([
  ['fermata-gateway', gateways, ['gateway'], 'http'],
  ['fermata-runtime', runtimes, ['runtime', '/app/app.js'], 'admin'],
] as const)('%s', (name, workload, args, port) => {
  const labels = { 'app.kubernetes.io/name': name };
  const pod = at(workload, 'spec', 'template', 'spec');
  const container = at(pod, 'containers', 0);

  test('is meant by its service and its budget, which lets nodes be drained', () => {
    expect(at(workload, 'spec', 'replicas')).toBe(2);
    expect(at(workload, 'spec', 'selector', 'matchLabels')).toEqual(labels);
    expect(at(workload, 'spec', 'template', 'metadata', 'labels')).toEqual(labels);
    expect(at(named('Service', name), 'spec', 'selector')).toEqual(labels);
    const budget = { maxUnavailable: 1, selector: { matchLabels: labels } };
    expect(at(named('PodDisruptionBudget', name), 'spec')).toEqual(budget);
    expect(at(pod, 'topologySpreadConstraints', 0, 'labelSelector', 'matchLabels')).toEqual(labels);
  });

  test('starts with what it is given, and each variable is read', async () => {
    expect(at(container, 'args')).toEqual(args);
    expect(Object.keys(container as object)).not.toContain('command');
    expect(at(container, 'envFrom')).toEqual([{ configMapRef: { name: 'fermata-nats' } }]);
    const own = at(container, 'env') as unknown as readonly Variable[];
    const env = { ...shared, ...Object.fromEntries(own.map((one) => [one.name, one.value ?? 'f00d'])) };
    const files = 'AUTH_JWT_SECRET_FILE' in env ? { AUTH_JWT_SECRET_FILE: secretFile } : {};
    const { exitCode, out, err } = await printConfig(args, { ...image.env, ...env, ...files });
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' });
    const read = new Set([...out.matchAll(/ (\w+) \(environment\)$/gm)].map(([, variable]) => variable));
    for (const variable of Object.keys(env)) expect(read).toContain(variable);
  });

  test('has the password from the secret of NATS, and no value of a secret stands here', () => {
    const secret = { secretKeyRef: { name: 'fermata-nats', key: 'password' } };
    expect(variable(container, 'NATS_PASSWORD')).toEqual({ name: 'NATS_PASSWORD', valueFrom: secret });
    for (const text of texts) expect(text).not.toMatch(/^kind: Secret/m);
  });

  test('has time for the whole stop', () => {
    const { lifecycle } = container as Record<string, Yaml>;
    const [, seconds] = lifecycle === undefined ? [] : (at(lifecycle, 'preStop', 'exec', 'command') as string[]);
    expect(seconds).toBe(name === 'fermata-gateway' ? '3' : undefined);
    expect(at(pod, 'terminationGracePeriodSeconds')).toBe(15);
    expect(at(pod, 'terminationGracePeriodSeconds')).toBeGreaterThan(Number(seconds ?? 0) + stopS);
  });

  test('is probed where it listens, and not restarted because NATS is away', () => {
    const asks = { httpGet: { path: '/ready', port }, periodSeconds: 1 };
    expect(at(container, 'startupProbe')).toEqual({ ...asks, failureThreshold: 120 });
    expect(at(container, 'readinessProbe')).toEqual({ ...asks, failureThreshold: 1 });
    expect(at(container, 'livenessProbe', 'tcpSocket')).toEqual({ port });
    const { periodSeconds, failureThreshold } = at(container, 'livenessProbe') as Record<string, number>;
    expect(periodSeconds! * failureThreshold!).toBeGreaterThan(15);
  });

  test('may do as little as one process may', () => {
    const before = at(single!, 'spec', 'template', 'spec');
    expect(at(before, 'securityContext')).toMatchObject(at(pod, 'securityContext') as object);
    expect(at(pod, 'securityContext')).toMatchObject({ runAsNonRoot: true, runAsUser: 10001, fsGroup: 10001 });
    expect(at(container, 'securityContext')).toEqual(at(before, 'containers', 0, 'securityContext'));
    expect(at(pod, 'automountServiceAccountToken')).toBe(false);
  });

  test('has an image of a version, and bounds', () => {
    expect(at(container, 'image')).toBe(at(single!, 'spec', 'template', 'spec', 'containers', 0, 'image'));
    expect(at(container, 'image')).toMatch(/:\d/);
    for (const resource of ['cpu', 'memory'])
      for (const kind of ['requests', 'limits']) expect(at(container, 'resources', kind, resource)).not.toBeNull();
    const memory = bytesOf(at(container, 'resources', 'limits', 'memory'));
    expect(bytesOf(at(container, 'resources', 'requests', 'memory'))).toBeLessThanOrEqual(memory);
  });

  test('mounts what it has, and nothing twice', () => {
    const mounts = (at(container, 'volumeMounts') as Yaml[]).map((mount) => at(mount, 'name'));
    const claims = name === 'fermata-runtime' ? ['data', 'backups'] : [];
    const volumes = (at(pod, 'volumes') as Yaml[]).map((volume) => at(volume, 'name'));
    expect(new Set(mounts)).toEqual(new Set([...claims, ...volumes]));
    expect(mounts).toHaveLength(claims.length + volumes.length);
  });
});

test('a rollout adds a gateway before it takes one', () => {
  expect(at(gateways, 'spec', 'strategy')).toEqual({
    type: 'RollingUpdate',
    rollingUpdate: { maxUnavailable: 0, maxSurge: 1 },
  });
});

describe('runtimes', () => {
  const container = at(runtimes, 'spec', 'template', 'spec', 'containers', 0);

  test('start beside each other, are replaced one at a time, and keep their claims', () => {
    expect(at(runtimes, 'spec')).toMatchObject({
      serviceName: 'fermata-runtime',
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'RollingUpdate' },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
    });
    // Names for the pods, no balancer.
    expect(at(named('Service', 'fermata-runtime'), 'spec', 'clusterIP')).toBe('None');
  });

  test('have the claims of one process, each its own', () => {
    expect(at(runtimes, 'spec', 'volumeClaimTemplates')).toEqual(at(single!, 'spec', 'volumeClaimTemplates'));
    const mounts = at(container, 'volumeMounts') as { name: string; mountPath: string }[];
    expect(Object.fromEntries(mounts.map(({ name, mountPath }) => [name, mountPath]))).toEqual({
      data: image.env['DATA_DIR'],
      backups: variable(container, 'BACKUP_DIR').value,
      tmp: '/tmp',
    });
  });

  test('let the kubelet ask their admin port, and have memory for their shards', () => {
    const port = Number(variable(container, 'ADMIN_PORT').value);
    expect(variable(container, 'ADMIN_HOST').value).toBe('0.0.0.0');
    expect(at(container, 'ports')).toEqual([{ name: 'admin', containerPort: port }]);
    expect(at(named('Service', 'fermata-runtime'), 'spec', 'ports')).toEqual([
      { name: 'admin', port, targetPort: 'admin' },
    ]);
    const heaps = Number(variable(container, 'SHARDS').value) * defaultLimits.shardHeapMbMax * 2 ** 20;
    expect(bytesOf(at(container, 'resources', 'limits', 'memory'))).toBeGreaterThan(heaps);
  });
});

test('the way in is that of one process, to the gateways, which listen there', () => {
  const [before] = readYaml(readFileSync(join(root, 'deploy/kubernetes/ingress.yaml'), 'utf8'));
  const ingress = named('Ingress', 'fermata-gateway');
  const toGateways = (text: string): string => text.replaceAll('"name":"fermata"', '"name":"fermata-gateway"');
  expect(JSON.stringify(at(ingress, 'spec'))).toBe(toGateways(JSON.stringify(at(before!, 'spec'))));
  expect(at(ingress, 'metadata', 'annotations')).toEqual(at(before!, 'metadata', 'annotations'));
  expect(at(named('Service', 'fermata-gateway'), 'spec', 'ports', 0, 'targetPort')).toBe('http');
  expect(at(gateways, 'spec', 'template', 'spec', 'containers', 0, 'ports')).toEqual([
    { name: 'http', containerPort: Number(image.env['PORT']) },
  ]);
});

test('the values for the chart of NATS fit: user, password, copies, JetStream on disks', () => {
  const authorization = at(chart!, 'config', 'merge', 'authorization');
  expect(authorization).toEqual({ user: shared['NATS_USER'], password: '<< $NATS_PASSWORD >>' });
  const secret = { secretKeyRef: { name: 'fermata-nats', key: 'password' } };
  expect(at(chart!, 'container', 'env', 'NATS_PASSWORD', 'valueFrom')).toEqual(secret);
  expect(at(chart!, 'config', 'cluster')).toEqual({ enabled: true, replicas: Number(shared['NATS_REPLICAS']) });
  expect(at(chart!, 'config', 'jetstream', 'enabled')).toBe(true);
  expect(bytesOf(at(chart!, 'config', 'jetstream', 'fileStore', 'pvc', 'size'))).toBeGreaterThan(2 * 2 ** 30);
  expect(at(chart!, 'container', 'image', 'tag')).toBe('2.12-alpine');
});

function named(kind: string, name: string): Yaml {
  const found = documents.find((one) => at(one, 'kind') === kind && at(one, 'metadata', 'name') === name);
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`);
  return found;
}

function variable(container: Yaml, name: string): Variable {
  const found = (at(container, 'env') as unknown as readonly Variable[]).find((one) => one.name === name);
  if (found === undefined) throw new Error(`there is no variable ${name}`);
  return found;
}

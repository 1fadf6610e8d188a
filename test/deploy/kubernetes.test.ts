/** The examples of one process for Kubernetes, point by point, and held against each other, the image and the server. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { settingNames, settings } from '../../src/host/config-settings.ts';
import { defaultLimits } from '../../src/protocol/limits.ts';
import { root } from '../support/server.ts';
import { configOf, stagesOf } from './dockerfile.ts';
import { bytesOf } from './quantities.ts';
import { at, readYaml, type Yaml } from './yaml-reading.ts';

const folder = join(root, 'deploy/kubernetes');
// Several machines are in a folder below: kubernetes-distributed.test.ts.
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.yaml'))
  .sort();
const documents = files.flatMap((name) => readYaml(readFileSync(join(folder, name), 'utf8')));
const image = configOf(stagesOf(readFileSync(join(root, 'Dockerfile'), 'utf8')).at(-1)!);
const labels = { 'app.kubernetes.io/name': 'fermata' };
const set = ofKind('StatefulSet');
const pod = at(set, 'spec', 'template', 'spec');
const container = at(pod, 'containers', 0);

test('there is one of each, and they mean the same pods', () => {
  expect(files).toEqual(['ingress.yaml', 'pod-disruption-budget.yaml', 'service.yaml', 'stateful-set.yaml']);
  expect(documents.map((one) => at(one, 'kind'))).toEqual(['Ingress', 'PodDisruptionBudget', 'Service', 'StatefulSet']);
  for (const one of documents) expect(at(one, 'metadata')).toMatchObject({ name: 'fermata', labels });
  expect(at(set, 'spec', 'selector', 'matchLabels')).toEqual(labels);
  expect(at(set, 'spec', 'template', 'metadata', 'labels')).toEqual(labels);
  expect(at(ofKind('Service'), 'spec', 'selector')).toEqual(labels);
  expect(at(ofKind('PodDisruptionBudget'), 'spec', 'selector', 'matchLabels')).toEqual(labels);
  expect(at(set, 'spec', 'serviceName')).toBe('fermata');
});

describe('the set', () => {
  test('is one process, whose successor waits for its end', () => {
    expect(at(set, 'spec', 'replicas')).toBe(1);
    expect(Object.keys(at(set, 'spec') as object)).not.toContain('podManagementPolicy');
  });

  test('has time for preStop and the whole stop', () => {
    const [program, seconds] = at(container, 'lifecycle', 'preStop', 'exec', 'command') as [string, string];
    expect(program).toBe('sleep');
    const stopS = Number(settings.SHUTDOWN_TIMEOUT_MS.fallback) / 1000;
    expect(at(pod, 'terminationGracePeriodSeconds')).toBe(15);
    expect(at(pod, 'terminationGracePeriodSeconds')).toBeGreaterThan(Number(seconds) + stopS);
  });

  test('is probed on the main port: readiness at once, liveness with patience', () => {
    expect(at(container, 'ports')).toEqual([{ name: 'http', containerPort: Number(image.env['PORT']) }]);
    const probe = (name: string): Yaml => at(container, name);
    expect(probe('startupProbe')).toEqual({
      httpGet: { path: '/ready', port: 'http' },
      periodSeconds: 1,
      failureThreshold: 120,
    });
    expect(probe('readinessProbe')).toEqual({
      httpGet: { path: '/ready', port: 'http' },
      periodSeconds: 1,
      failureThreshold: 1,
    });
    // The port closes when a stop begins; the kubelet must not end it before it is over.
    expect(at(probe('livenessProbe'), 'httpGet', 'path')).toBe('/health');
    const patienceS =
      Number(at(probe('livenessProbe'), 'periodSeconds')) * Number(at(probe('livenessProbe'), 'failureThreshold'));
    expect(patienceS).toBeGreaterThan(15);
  });

  test('runs as the user of the image, who may write to volumes only', () => {
    const [user, group] = image.user.split(':').map(Number);
    expect(at(pod, 'securityContext')).toEqual({
      runAsNonRoot: true,
      runAsUser: user,
      runAsGroup: group,
      fsGroup: group,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(at(container, 'securityContext')).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    expect(at(pod, 'automountServiceAccountToken')).toBe(false);
  });

  test('keeps data and backups in claims of their own, on disks that one node mounts', () => {
    const claims = at(set, 'spec', 'volumeClaimTemplates') as Yaml[];
    expect(claims.map((claim) => at(claim, 'metadata', 'name'))).toEqual(['data', 'backups']);
    for (const claim of claims) expect(at(claim, 'spec', 'accessModes')).toEqual(['ReadWriteOnce']);
    expect(at(set, 'spec', 'persistentVolumeClaimRetentionPolicy')).toEqual({
      whenDeleted: 'Retain',
      whenScaled: 'Retain',
    });
    const mounts = at(container, 'volumeMounts') as { name: string; mountPath: string }[];
    const places = Object.fromEntries(mounts.map(({ name, mountPath }) => [name, mountPath]));
    expect(places).toEqual({
      data: image.env['DATA_DIR'],
      backups: setting('BACKUP_DIR'),
      tmp: '/tmp',
      'jwt-secret': setting('AUTH_JWT_SECRET_FILE').replace(/\/jwt-secret$/, ''),
    });
    const volumes = (at(pod, 'volumes') as Yaml[]).map((volume) => at(volume, 'name'));
    expect(new Set([...volumes, 'data', 'backups'])).toEqual(new Set(Object.keys(places)));
  });

  test('starts the image by its own command, with settings that the server knows', () => {
    expect(at(container, 'args')).toEqual(image.command);
    expect(Object.keys(container as object)).not.toContain('command');
    for (const entry of at(container, 'env') as { name: string }[])
      expect(settingNames as readonly string[]).toContain(entry.name);
  });

  test('has bounds that fit its shards', () => {
    const memory = bytesOf(at(container, 'resources', 'limits', 'memory'));
    expect(memory).toBeGreaterThan(Number(setting('SHARDS')) * defaultLimits.shardHeapMbMax * 2 ** 20);
    // Verifying a backup must not take the memory of the server.
    expect(at(pod, 'volumes', 0)).toEqual({ name: 'tmp', emptyDir: { sizeLimit: '10Gi' } });
    expect(at(container, 'resources', 'limits', 'cpu')).toBe('2');
    expect(bytesOf(at(container, 'resources', 'requests', 'memory'))).toBeLessThanOrEqual(memory);
  });
});

test('the budget lets a node be drained', () => {
  const spec = at(ofKind('PodDisruptionBudget'), 'spec') as Record<string, Yaml>;
  expect(spec['maxUnavailable']).toBe(1);
  expect(Object.keys(spec)).not.toContain('minAvailable');
});

describe('the way in', () => {
  const ingress = ofKind('Ingress');

  test('leads through TLS to the named port', () => {
    const [tls] = at(ingress, 'spec', 'tls') as Yaml[];
    expect(at(tls!, 'hosts')).toEqual([at(ingress, 'spec', 'rules', 0, 'host')]);
    const paths = at(ingress, 'spec', 'rules', 0, 'http', 'paths') as Yaml[];
    for (const path of paths)
      expect(at(path, 'backend')).toEqual({ service: { name: 'fermata', port: { name: 'http' } } });
    // Probes and whatever comes later stay inside.
    expect(paths.map((path) => [at(path, 'pathType'), at(path, 'path')])).toEqual([
      ['Exact', '/ws'],
      ['Prefix', '/v1'],
    ]);
    expect(at(ofKind('Service'), 'spec', 'ports')).toEqual([{ name: 'http', port: 80, targetPort: 'http' }]);
  });

  test('lets sockets live, and bodies as large as the server takes', () => {
    const word = (name: string): Yaml => at(ingress, 'metadata', 'annotations', `nginx.ingress.kubernetes.io/${name}`);
    expect([word('proxy-read-timeout'), word('proxy-send-timeout')]).toEqual(['3600', '3600']);
    expect(word('proxy-buffering')).toBe('off');
    expect(word('proxy-body-size')).toBe(`${defaultLimits.frameBytesMax / 1024}k`);
  });
});

function ofKind(kind: string): Yaml {
  return documents.find((one) => at(one, 'kind') === kind) ?? null;
}

function setting(name: string): string {
  const entries = at(container, 'env') as { name: string; value: string }[];
  return entries.find((entry) => entry.name === name)?.value ?? 'not set';
}

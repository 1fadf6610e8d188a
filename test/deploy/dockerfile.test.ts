/** The Dockerfile, line by line. That its steps work is shown by image.test.ts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { root, source } from '../support/server.ts';
import { configOf, stagesOf } from './dockerfile.ts';
import { dockerIgnore } from './image-build.ts';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const stages = stagesOf(read('Dockerfile'));
const [build, dependencies, image] = stages;
const config = configOf(image!);
const runs = stages.map(({ instructions }) =>
  instructions.filter(({ name }) => name === 'RUN').map(({ text }) => text),
);

describe('the Dockerfile', () => {
  test('builds in stages, all on Node 22 and Debian without what is not needed', () => {
    expect(stages.map(({ name }) => name)).toEqual(['build', 'dependencies', undefined]);
    for (const { base } of stages) expect(base).toBe('node:22-bookworm-slim');
    expect(config.labels['org.opencontainers.image.base.name']).toBe(`docker.io/library/${image!.base}`);
  });

  test('installs what the lock file says, without running scripts of packages', () => {
    const installs = runs.flat().filter((text) => /\bnpm\b/.test(text) && !/^npm run build\b/.test(text));
    expect(installs).toHaveLength(2);
    for (const text of installs) expect(text).toMatch(/^npm ci .*--ignore-scripts/);
    expect(runs[1]![0]).toContain('--omit=dev');
    for (const stage of [build!, dependencies!]) {
      // Packages are installed before sources are copied, so that a change of sources does not install them again.
      const before = stage.instructions.slice(
        0,
        stage.instructions.findIndex(({ name }) => name === 'RUN'),
      );
      expect(before.map(({ name, text }) => `${name} ${text}`)).toEqual([
        'WORKDIR /build',
        'COPY package.json package-lock.json ./',
      ]);
    }
  });

  test('puts into the image what was built and what production needs, in /opt/fermata', () => {
    const copies = image!.instructions.filter(({ name }) => name === 'COPY');
    expect(copies.map(({ flags, text }) => `${flags['from'] ?? 'context'}: ${text}`)).toEqual([
      'context: package.json LICENSE /opt/fermata/',
      'dependencies: /build/node_modules /opt/fermata/node_modules',
      'build: /build/dist /opt/fermata/dist',
    ]);
    for (const { flags } of copies) expect(Object.keys(flags).filter((flag) => flag !== 'from')).toEqual([]);
    for (const text of runs[2]!) expect(text).not.toMatch(/\b(apt-get|apt|curl|wget|npm|chmod)\b/);
  });

  test('runs as a user of a fixed number, who is not root', () => {
    expect(config.user).toBe('10001:10001');
    const names = image!.instructions.map(({ name }) => name);
    expect(names.slice(names.indexOf('USER'))).not.toContain('RUN');
  });

  test('has Node as process 1, which gets SIGTERM', () => {
    expect(config.entrypoint).toEqual(['node', '/opt/fermata/dist/src/cli/main.js']);
    expect(config.command).toEqual(['serve', '/app/app.js']);
    expect(config.stopSignal).toBe('SIGTERM');
    expect(`/opt/fermata/dist/${source.slice(root.length).replace(/\.ts$/, '.js')}`).toBe(config.entrypoint[1]);
  });

  test('keeps data in a volume, which is made before it is declared', () => {
    expect(config.volumes).toEqual(['/data']);
    expect(config.env['DATA_DIR']).toBe('/data');
    const names = image!.instructions.map(({ name }) => name);
    expect(names.lastIndexOf('RUN')).toBeLessThan(names.indexOf('VOLUME'));
  });

  test('asks for its health by Node, in less time than a try has', () => {
    const check = config.healthCheck!;
    expect(check.command.slice(0, 2)).toEqual(['node', '--eval']);
    expect(check.command.join(' ')).not.toMatch(/curl|wget|\bsh\b/);
    expect(check.command[2]).toContain('/ready');
    expect(Number(/AbortSignal\.timeout\((\d+)\)/.exec(check.command[2]!)?.[1])).toBeLessThan(
      seconds(check.timeout) * 1000,
    );
    expect(seconds(check.startPeriod)).toBeGreaterThanOrEqual(60);
    expect(check.retries).toBe(3);
  });

  test('listens where a container is reached', () => {
    expect(config.env).toMatchObject({ NODE_ENV: 'production', HOST: '0.0.0.0', PORT: '8080' });
    expect(config.ports).toEqual(['8080']);
  });

  test('tells what it is', () => {
    const { version, license } = JSON.parse(read('package.json')) as { version: string; license: string };
    expect(config.labels).toMatchObject({
      'org.opencontainers.image.title': 'Fermata',
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.licenses': license,
      'org.opencontainers.image.revision': 'unknown',
    });
  });

  test('names no secret', () => {
    expect(read('Dockerfile')).not.toMatch(/(SECRET|TOKEN|PASSWORD)/i);
  });
});

test('.dockerignore lets in what the steps copy, and nothing else', () => {
  const lets = dockerIgnore(read('.dockerignore'));
  const copied = stages.flatMap(({ instructions }) =>
    instructions.filter(({ name, flags }) => name === 'COPY' && flags['from'] === undefined),
  );
  const wanted = new Set(copied.flatMap(({ text }) => text.split(/\s+/).slice(0, -1)));
  expect(wanted.size).toBeGreaterThan(5);
  for (const path of wanted) expect(lets(path), path).toBe(true);
  for (const path of ['node_modules', 'dist', 'data', 'test', '.git', '.env', '.npmrc', 'jwt-secret', 'tls'])
    expect(lets(path), path).toBe(false);
  const named = read('.dockerignore')
    .match(/^!.+$/gm)!
    .map((line) => line.slice(1));
  expect(named.filter((path) => !wanted.has(path))).toEqual([]);
});

describe('a Dockerfile is read as Docker reads it', () => {
  test('comments, continued lines with comments in between, ARGs', () => {
    const text = `# USER root\nARG A=x\nFROM \${A}:1 AS one\n  # RUN gone\nRUN a \\\n  # not this\n\n  && b\nUSER 5\n`;
    expect(stagesOf(text)).toEqual([
      {
        name: 'one',
        base: 'x:1',
        instructions: [
          { line: 5, name: 'RUN', flags: {}, text: 'a && b' },
          { line: 9, name: 'USER', flags: {}, text: '5' },
        ],
      },
    ]);
  });

  test('what stands in the last line of its kind counts', () => {
    const [stage] = stagesOf('FROM a\nUSER 5\nUSER root\nENV A=1 B="two words"\nENV A=3\n');
    expect(configOf(stage!)).toMatchObject({ user: 'root', env: { A: '3', B: 'two words' }, healthCheck: undefined });
  });

  test.each([
    ['FROM a\nCMD npm start\n', 'line 2: CMD in shell form'],
    ['FROM a\nENTRYPOINT node main.js\n', 'line 2: ENTRYPOINT in shell form'],
    ['FROM a\nHEALTHCHECK CMD curl x\n', 'line 2: HEALTHCHECK in shell form'],
    ['FROM a\nONBUILD RUN b\n', 'line 2: ONBUILD is not known here'],
    ['FROM ${B}\n', '${B} has no ARG'],
    ['RUN a\n', 'line 1: RUN before the first FROM'],
    ['FROM a\nRUN b \\\n', 'line 2 is continued by nothing'],
  ])('refused: %j', (text, words) => {
    expect(() => stagesOf(text).map(configOf)).toThrow(words);
  });
});

function seconds(text: string): number {
  return Number(/^(\d+)s$/.exec(text)?.[1]);
}

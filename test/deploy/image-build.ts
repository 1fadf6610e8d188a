/**
 * Builds the image of the Dockerfile without Docker: every stage is a folder, every step is carried out as it is written
 * there, RUN inside the folder as its root. A COPY sees of the repository only what .dockerignore lets through. What the
 * base image has comes from this machine (chroot.ts), so its own size is not known here.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { makeBase, type Mount, runInside } from './chroot.ts';
import { configOf, type ImageConfig, type Instruction, type Stage, stagesOf } from './dockerfile.ts';

export interface Image {
  readonly root: string;
  readonly config: ImageConfig;
  /** Bytes of all files that the last stage put on top of its base. */
  readonly addedBytes: number;
}

/** Builds below `folder`, which has to be empty. @throws Error naming the step that failed, with its output */
export async function buildImage(repository: string, folder: string): Promise<Image> {
  const stages = stagesOf(readFileSync(join(repository, 'Dockerfile'), 'utf8'));
  const inContext = dockerIgnore(readFileSync(join(repository, '.dockerignore'), 'utf8'));
  const npm = npmOfThisMachine(repository);
  const roots = new Map<string, string>();
  for (const [index, stage] of stages.entries()) {
    const root = join(folder, stage.name ?? String(index));
    makeBase(root);
    roots.set(stage.name ?? String(index), root);
    const source = (from: string | undefined, path: string): string => {
      if (from !== undefined) return join(roots.get(from) ?? `no stage ${from}`, path);
      if (!inContext(path)) throw new Error(`COPY ${path}: .dockerignore keeps it out`);
      return join(repository, path);
    };
    await buildStage(root, stage, source, npm);
  }
  const root = [...roots.values()].at(-1)!;
  return { root, config: configOf(stages.at(-1)!), addedBytes: bytesBelow(root) };
}

/** Which paths of the repository get into a build: a file that keeps everything out and then names what may in. */
export function dockerIgnore(text: string): (path: string) => boolean {
  const patterns = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  if (patterns[0] !== '*' || !patterns.slice(1).every((pattern) => /^![\w.-]+$/.test(pattern)))
    throw new Error('.dockerignore must be one *, then names with a ! before them');
  return (path) => patterns.includes(`!${path.split('/')[0]!}`);
}

type Source = (from: string | undefined, path: string) => string;

async function buildStage(root: string, stage: Stage, source: Source, npm: NpmSetting): Promise<void> {
  const env: Record<string, string> = { PATH: path, HOME: '/root' };
  let cwd = '/';
  for (const [index, step] of stage.instructions.entries()) {
    if (step.name === 'WORKDIR') {
      cwd = step.text;
      mkdirSync(join(root, cwd), { recursive: true });
    } else if (step.name === 'ENV') {
      Object.assign(env, configOf({ ...stage, instructions: [step] }).env);
    } else if (step.name === 'COPY') copy(root, cwd, step, source);
    else if (step.name === 'RUN') {
      if (stage.instructions.slice(0, index).some(({ name }) => name === 'USER'))
        throw new Error(`line ${step.line}: RUN after USER is not known here`);
      await runInside(root, step.text, { env: { ...env, ...npm.env }, cwd, mounts: npm.mounts });
    }
  }
}

/** As Docker's COPY: of a folder its contents, a file into a folder when the target ends with a slash. */
function copy(root: string, cwd: string, step: Instruction, source: Source): void {
  const words = step.text.split(/\s+/);
  const last = words.pop()!;
  const target = last.startsWith('/') ? join(root, last) : join(root, cwd, last);
  if (words.length > 1 && !last.endsWith('/')) throw new Error(`line ${step.line}: ${last} must end with a slash`);
  const unknown = Object.keys(step.flags).filter((flag) => flag !== 'from');
  if (unknown.length > 0) throw new Error(`line ${step.line}: COPY --${unknown[0]} is not known here`);
  for (const word of words) {
    const from = source(step.flags['from'], word);
    const intoFolder = last.endsWith('/') && !statSync(from).isDirectory();
    cpSync(from, intoFolder ? join(target, basename(from)) : target, { recursive: true, verbatimSymlinks: true });
  }
}

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

interface NpmSetting {
  readonly env: Readonly<Record<string, string>>;
  readonly mounts: readonly Mount[];
}

/** A build here takes packages from where this machine takes them, and from its cache before that. */
function npmOfThisMachine(repository: string): NpmSetting {
  const get = (name: string): string =>
    execFileSync('npm', ['config', 'get', name], { cwd: repository, encoding: 'utf8', stdio: 'pipe' }).trim();
  const passed = Object.entries(process.env).filter(
    ([name, value]) => /^(https?_proxy|no_proxy|node_extra_ca_certs)$/i.test(name) && value !== undefined,
  ) as [string, string][];
  const userConfig = join(homedir(), '.npmrc');
  const cache = get('cache');
  mkdirSync(cache, { recursive: true });
  return {
    env: {
      ...Object.fromEntries(passed),
      npm_config_registry: get('registry'),
      npm_config_cache: '/var/cache/npm',
      npm_config_prefer_offline: 'true',
    },
    mounts: [
      { source: cache, target: '/var/cache/npm', writable: true },
      ...(existsSync(userConfig) ? [{ source: userConfig, target: '/root/.npmrc' }] : []),
    ],
  };
}

/** The places of mounts are empty from outside, so this counts what steps have put there. */
function bytesBelow(root: string): number {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .reduce((bytes, entry) => bytes + lstatSync(join(entry.parentPath, entry.name)).size, 0);
}

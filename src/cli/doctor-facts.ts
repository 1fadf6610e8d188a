/**
 * Everything that `fermata doctor --production` judges, gathered once: settings, machine, disks, backups, keys, the app. It
 * changes nothing but for the file of the fsync test, which is removed. The judgements are functions of this alone.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { totalmem } from 'node:os';
import { flagOf } from '../host/config-settings.ts';
import { flagValue, type Invocation } from './command.ts';
import { lookAtApp, type AppFacts } from './doctor-app.ts';
import { lookAtBackups, type BackupFacts } from './doctor-backups.ts';
import { diskFindings } from './doctor-disk.ts';
import type { Finding } from './doctor-finding.ts';
import { lookAtFolder, type FolderFacts } from './doctor-folder.ts';
import { readKeySet, type KeySet, type SecretOrigin } from './doctor-keys.ts';
import { lookForLeftOvers, type LeftOverFacts } from './doctor-left-overs.ts';
import { machineFindings } from './doctor-machine.ts';
import { mountOf } from './doctor-mounts.ts';
import type { MemoryFacts } from './doctor-process.ts';
import { readSettings, type ReadSettings } from './doctor-settings.ts';

export interface ProductionFacts {
  readonly settings: ReadSettings;
  readonly nowMs: number;
  /** What the plain doctor found, by name. */
  readonly plain: ReadonlyMap<string, Finding>;
  readonly port: Finding | undefined;
  readonly adminPort: Finding | undefined;
  readonly inContainer: boolean;
  readonly uid: number | undefined;
  readonly nodeEnv: string | undefined;
  readonly nodeOptions: readonly string[];
  readonly tlsUnverified: boolean;
  readonly memory: MemoryFacts;
  readonly clockSynchronized: boolean | undefined;
  readonly secretOrigin: SecretOrigin;
  readonly keySet: KeySet | undefined;
  /** Permissions of the file that lists revoked tokens. */
  readonly revokedMode: number | undefined;
  readonly app: AppFacts;
  readonly data: FolderFacts;
  readonly backupFolder: FolderFacts;
  readonly backups: BackupFacts;
  readonly leftOvers: LeftOverFacts;
}

export async function gatherFacts(invocation: Invocation): Promise<ProductionFacts> {
  const [app = ''] = invocation.positionals;
  const { env } = invocation;
  const settings = readSettings(invocation, app);
  const { config, origins } = settings;
  const machine = await machineFindings(config);
  const [port, adminPort] = machine.filter(({ check }) => check.startsWith('port '));
  const inContainer = isInContainer(env);
  const fileOfSecret = flagValue(invocation, flagOf('AUTH_JWT_SECRET_FILE')) ?? env['AUTH_JWT_SECRET_FILE'];
  return {
    settings,
    nowMs: Date.now(),
    plain: new Map([...machine, ...diskFindings(config.dataDir)].map((finding) => [finding.check, finding])),
    port,
    adminPort,
    inContainer,
    uid: process.getuid?.(),
    nodeEnv: env['NODE_ENV'],
    nodeOptions: [...(env['NODE_OPTIONS'] ?? '').split(/\s+/).filter((word) => word !== ''), ...process.execArgv],
    tlsUnverified: env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0',
    memory: memoryFacts(process.constrainedMemory(), totalmem()),
    clockSynchronized: await clockSynchronized(),
    revokedMode: modeOf(config.auth.revokedFile),
    secretOrigin: {
      byFlag: origins.get('AUTH_JWT_SECRET')?.kind === 'flag' && fileOfSecret === undefined,
      fileMode: modeOf(fileOfSecret),
      inContainer,
    },
    keySet: await readKeySet(config.auth),
    app: await lookAtApp(app, config.limits.shardHeapMbMax),
    data: lookAtFolder(config.dataDir),
    backupFolder: lookAtFolder(config.backup.dir),
    backups: await lookAtBackups(config.dataDir, config.backup.dir),
    leftOvers: await lookForLeftOvers(config.dataDir),
  };
}

function modeOf(path: string | undefined): number | undefined {
  return path === undefined ? undefined : statSync(path, { throwIfNoEntry: false })?.mode;
}

/** Docker and Podman leave a file, Kubernetes a variable; what else runs containers gives them a layered root. */
function isInContainer(env: Invocation['env']): boolean {
  if (existsSync('/.dockerenv') || existsSync('/run/.containerenv')) return true;
  if (env['KUBERNETES_SERVICE_HOST'] !== undefined) return true;
  try {
    return mountOf(readFileSync('/proc/self/mountinfo', 'utf8'), '/')?.type === 'overlay';
  } catch {
    return false;
  }
}

/** `constrained`: of the cgroup; 0 or beyond all measure where it sets none. */
export function memoryFacts(constrained: number, total: number): MemoryFacts {
  const limited = constrained > 0 && constrained < total;
  return { bytes: limited ? constrained : total, limited };
}

/** Undefined where nobody knows: in containers, and without systemd. */
async function clockSynchronized(): Promise<boolean | undefined> {
  const answer = await new Promise<string>((resolve) => {
    execFile('timedatectl', ['show', '--property=NTPSynchronized', '--value'], { timeout: 2000 }, (error, stdout) =>
      resolve(error === null ? stdout.trim() : ''),
    );
  });
  return answer === 'yes' ? true : answer === 'no' ? false : undefined;
}

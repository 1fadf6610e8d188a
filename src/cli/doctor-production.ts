/**
 * `fermata doctor --production`: what must be true before real users come, as a list of checks over facts that were gathered
 * once (doctor-facts.ts). docs/deploy.md has the same list for people; a test holds the two together.
 *
 * A check whose settings are wrong says so and judges nothing: a default in their place would be praised or blamed for
 * what nobody asked for.
 */
import type { SettingName } from '../host/config-settings.ts';
import * as access from './doctor-access.ts';
import { judgeApp, judgeDurability } from './doctor-app.ts';
import { judgeBackupAge, judgeBackupInterval } from './doctor-backups.ts';
import type { ProductionFacts } from './doctor-facts.ts';
import { fail, ok, warn, type Finding } from './doctor-finding.ts';
import {
  judgeBackupFolder,
  judgeDataDirectory,
  judgeDataFileSystem,
  judgeDataOwner,
  judgeInodes,
} from './doctor-folder.ts';
import { judgeKeySet, judgeSecret } from './doctor-keys.ts';
import { judgeQuarantine, judgeRestores } from './doctor-left-overs.ts';
import { judgeContainer } from './doctor-machine.ts';
import * as life from './doctor-process.ts';

export interface ProductionCheck {
  readonly name: string;
  /** It is not judged when one of these is wrong. */
  readonly uses: readonly SettingName[];
  judge(facts: ProductionFacts): Finding;
}

const keySources = ['AUTH_JWT_SECRET', 'AUTH_JWT_SECRET_FILE', 'AUTH_JWKS_URL', 'AUTH_JWKS_FILE'] as const;

/** What the plain doctor found out. */
function plain(name: string, uses: readonly SettingName[] = []): ProductionCheck {
  const missing = fail(name, 'not looked at', 'The data directory cannot be used: see its line.');
  return { name, uses, judge: (facts) => facts.plain.get(name) ?? missing };
}

export const productionChecks: readonly ProductionCheck[] = [
  { name: 'configuration', uses: [], judge: ({ settings }) => judgeConfiguration(settings.problems) },
  { name: 'app', uses: [], judge: ({ app }) => judgeApp(app) },
  { name: 'durability', uses: [], judge: ({ app }) => judgeDurability(app) },
  { name: 'development', uses: ['DEV'], judge: ({ settings }) => access.judgeDevelopment(settings.config.dev) },
  {
    name: 'authentication',
    uses: keySources,
    judge: ({ settings }) => access.judgeAuthentication(settings.config.auth),
  },
  { name: 'keys', uses: [...keySources, 'AUTH_ALGORITHMS'], judge: judgeKeys },
  {
    name: 'algorithms',
    uses: [...keySources, 'AUTH_ALGORITHMS'],
    judge: ({ settings }) => access.judgeAlgorithms(settings.config.auth),
  },
  {
    name: 'issuer',
    uses: ['AUTH_ISSUER'],
    judge: ({ settings: { config } }) => access.judgeName('issuer', config.auth.issuer, config.auth),
  },
  {
    name: 'audience',
    uses: ['AUTH_AUDIENCE'],
    judge: ({ settings: { config } }) => access.judgeName('audience', config.auth.audience, config.auth),
  },
  {
    name: 'query tokens',
    uses: ['AUTH_QUERY_TOKEN'],
    judge: ({ settings }) => access.judgeQueryTokens(settings.config.auth.queryToken),
  },
  {
    name: 'revocation',
    uses: ['AUTH_REVOKED_FILE'],
    judge: ({ settings, revokedMode }) => access.judgeRevocation(settings.config.auth.revokedFile, revokedMode),
  },
  {
    name: 'origins',
    uses: ['ALLOWED_ORIGINS'],
    judge: ({ settings }) => access.judgeOrigins(settings.config.allowedOrigins),
  },
  {
    name: 'address',
    uses: ['HOST'],
    judge: ({ settings, inContainer }) => access.judgeAddress(settings.config.host, inContainer),
  },
  { name: 'port', uses: ['HOST', 'PORT'], judge: judgePort },
  {
    name: 'admin port',
    uses: ['ADMIN_HOST', 'ADMIN_PORT'],
    judge: ({ settings, adminPort, inContainer }) => access.judgeAdminPort(settings.config, adminPort, inContainer),
  },
  plain('Node'),
  plain('SQLite'),
  plain('uWebSockets.js'),
  { name: 'user', uses: [], judge: ({ uid }) => life.judgeUser(uid) },
  { name: 'container', uses: [], judge: ({ inContainer }) => judgeContainer(inContainer, process.pid) },
  { name: 'NODE_ENV', uses: [], judge: ({ nodeEnv }) => life.judgeNodeEnv(nodeEnv) },
  {
    name: 'Node options',
    uses: [],
    judge: ({ nodeOptions, tlsUnverified }) => life.judgeNodeOptions(nodeOptions, tlsUnverified),
  },
  { name: 'log level', uses: ['LOG_LEVEL'], judge: ({ settings }) => life.judgeLogLevel(settings.config.logLevel) },
  { name: 'log format', uses: ['DEV'], judge: ({ settings }) => life.judgeLogFormat(settings.config.dev) },
  {
    name: 'stop time',
    uses: ['SHUTDOWN_TIMEOUT_MS'],
    judge: ({ settings }) => life.judgeStopTime(settings.config.shutdownTimeoutMs),
  },
  plain('cores', ['SHARDS', 'GATEWAYS']),
  {
    name: 'memory',
    uses: ['SHARDS', 'LIMITS'],
    judge: (facts) => life.judgeMemory(facts.settings.config, facts.memory),
  },
  plain('open files', ['SHARDS', 'GATEWAYS', 'LIMITS']),
  plain('clock'),
  { name: 'clock sync', uses: [], judge: ({ clockSynchronized }) => life.judgeClockSync(clockSynchronized) },
  { name: 'data directory', uses: ['DATA_DIR'], judge: ({ data }) => judgeDataDirectory(data) },
  {
    name: 'data owner',
    uses: ['DATA_DIR'],
    judge: ({ data, uid, inContainer }) => judgeDataOwner(data, uid, inContainer),
  },
  { name: 'file system', uses: ['DATA_DIR'], judge: ({ data }) => judgeDataFileSystem(data.mount) },
  plain('free space', ['DATA_DIR']),
  { name: 'inodes', uses: ['DATA_DIR'], judge: ({ data }) => judgeInodes(data.inodes) },
  plain('fsync', ['DATA_DIR']),
  { name: 'quarantine', uses: ['DATA_DIR'], judge: ({ leftOvers }) => judgeQuarantine(leftOvers) },
  { name: 'unfinished restores', uses: ['DATA_DIR'], judge: ({ leftOvers }) => judgeRestores(leftOvers) },
  {
    name: 'backup interval',
    uses: ['DATA_DIR', 'BACKUP_DIR', 'BACKUP_INTERVAL'],
    judge: ({ settings, backups, nowMs }) => judgeBackupInterval(settings.config.backup.intervalMs, backups, nowMs),
  },
  {
    name: 'backup folder',
    uses: ['DATA_DIR', 'BACKUP_DIR'],
    judge: ({ backupFolder, data }) => judgeBackupFolder(backupFolder, data),
  },
  {
    name: 'backup age',
    uses: ['DATA_DIR', 'BACKUP_DIR', 'BACKUP_INTERVAL'],
    judge: ({ settings, backups, nowMs }) => judgeBackupAge(settings.config.backup.intervalMs, backups, nowMs),
  },
];

export function productionFindings(facts: ProductionFacts): Finding[] {
  return productionChecks.map((check) => {
    const wrong = check.uses.filter((name) => facts.settings.unread.has(name));
    if (wrong.length === 0) return check.judge(facts);
    return warn(check.name, `not judged: ${wrong.join(', ')} is wrong`, 'Mend the configuration, and run this again.');
  });
}

function judgeConfiguration(problems: readonly string[]): Finding {
  const check = 'configuration';
  if (problems.length === 0) return ok(check, 'serve would take it');
  return fail(
    check,
    problems.join('\n'),
    'serve would end with 78. fermata serve --print-config shows what comes from where.',
  );
}

function judgeKeys({ settings, secretOrigin, keySet }: ProductionFacts): Finding {
  const { auth } = settings.config;
  if (auth.secret !== undefined) return judgeSecret(auth.secret, secretOrigin);
  if (keySet !== undefined) return judgeKeySet(keySet, auth.algorithms);
  return fail('keys', 'none', 'See the line of authentication.');
}

function judgePort({ settings, port }: ProductionFacts): Finding {
  if (port === undefined) return fail('port', 'not looked at', 'Run this again.');
  return { ...port, check: 'port', message: `${settings.config.port}: ${port.message}` };
}

/** What no program can see from in here. */
export const byHand: readonly (readonly [what: string, how: string])[] = [
  ['TLS', 'wss:// and https:// from outside work, plain http:// is sent there, the certificate renews itself'],
  ['proxy', 'upgrades pass, sockets may idle for an hour, tokens are in no log: nginx.conf'],
  ['firewall', 'from outside only the proxy is reached, neither the port nor the admin port'],
  ['health check', 'the platform asks /ready, and takes what answers 503 out'],
  ['grace period', 'the platform waits 15 s or more between SIGTERM and SIGKILL'],
  ['logs', 'somebody collects stdout, and an alarm goes off at level 50 and above'],
  ['clocks', 'the machine, and the one that signs tokens, are kept right by NTP'],
  ['tokens', 'they live for minutes, not a day, and the client gets new ones'],
  ['restore drill', 'a tenant was restored from these backups once, and the time it took is known'],
  ['way back', 'the former version is at hand, and somebody has read how to go back to it'],
];

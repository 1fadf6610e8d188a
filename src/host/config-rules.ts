/**
 * What must hold between settings. Every rule reports through the reader, under the flag or variable that is to be
 * changed, and is silent about settings that could not even be read.
 */
import { relative, resolve } from 'node:path';
import type { AuthConfig, Config } from './config.ts';
import type { SettingReader } from './config-reader.ts';
import type { SettingName } from './config-settings.ts';
import { isLoopback } from './config-values.ts';

const keySources = [
  'AUTH_JWT_SECRET',
  'AUTH_JWT_SECRET_FILE',
  'AUTH_JWKS_URL',
  'AUTH_JWKS_FILE',
] as const satisfies SettingName[];

const noKeys = `AUTH_JWT_SECRET, AUTH_JWKS_URL, AUTH_JWKS_FILE: none is set, so no token can be verified and nobody could connect. Set one, by flag or environment:
      AUTH_JWT_SECRET  a shared secret of at least 32 bytes
      AUTH_JWKS_URL    the https URL of your identity provider's keys
      AUTH_JWKS_FILE   a file with such keys
    or, to try things out on this machine without tokens, add --dev`;

export function checkPorts(config: Config, reader: SettingReader): void {
  if (config.adminPort === undefined || config.adminPort === 0 || config.adminPort !== config.port) return;
  reader.fail('ADMIN_PORT', `${config.adminPort} is the port of the clients already; choose another, or leave it out`);
}

/** Where the server moves and removes files of its own, nothing else may lie. */
export function checkBackup({ dataDir, backup }: Config, reader: SettingReader): void {
  const directory = resolve(backup.dir);
  const [first = ''] = relative(resolve(dataDir), directory).split('/');
  if (directory === resolve(dataDir) || ['tenants', 'journal', 'quarantine'].includes(first))
    reader.fail('BACKUP_DIR', `${backup.dir} is where the data itself lies; name a folder of its own`);
}

export function checkAuth(auth: AuthConfig, reader: SettingReader): void {
  const set = keySources.filter((name) => reader.isSet(name));
  if (set.length > 1) {
    const labels = set.map((name) => reader.label(name)).join(', ');
    reader.problems.push(`${labels}: tokens are verified in one way only; keep one of these and remove the others`);
    return;
  }
  if (reader.failed('AUTH_ALGORITHMS') || set.some((name) => reader.failed(name))) return;
  const shared = auth.algorithms.filter((name) => name.startsWith('HS'));
  const byKeys = auth.jwksUrl !== undefined || auth.jwksFile !== undefined;
  if (byKeys && shared.length > 0) {
    // A public key taken for a shared secret lets anyone sign.
    reader.fail(
      'AUTH_ALGORITHMS',
      `${shared.join(', ')} needs a shared secret, but keys are public (${set.join()}); use RS256, ES256 or EdDSA`,
    );
  } else if (!byKeys && shared.length < auth.algorithms.length) {
    const wrong = auth.algorithms.filter((name) => !name.startsWith('HS'));
    reader.fail(
      'AUTH_ALGORITHMS',
      `${wrong.join(', ')} needs AUTH_JWKS_URL or AUTH_JWKS_FILE; a secret verifies HS256, HS384 and HS512`,
    );
  } else if (auth.secret !== undefined) checkSecret(auth, auth.secret, reader);
}

/** A secret shorter than its hash weakens the signature (RFC 7518, 3.2). */
function checkSecret(auth: AuthConfig, secret: string, reader: SettingReader): void {
  const bytes = Buffer.byteLength(secret);
  const bytesMin = Math.max(32, ...auth.algorithms.map((name) => Number(name.slice(2)) / 8));
  if (bytes >= bytesMin) return;
  const name = reader.isSet('AUTH_JWT_SECRET') ? 'AUTH_JWT_SECRET' : 'AUTH_JWT_SECRET_FILE';
  reader.fail(
    name,
    `has ${bytes} bytes, ${auth.algorithms.join(',')} needs at least ${bytesMin}; make one with: openssl rand -base64 48`,
  );
}

/** What listening for clients needs beyond settings that make sense. */
export function checkSockets(config: Config, reader: SettingReader): void {
  if (!config.dev && !keySources.some((name) => reader.isSet(name))) {
    reader.problems.push(noKeys);
  }
  if (config.dev && !isLoopback(config.host) && !reader.failed('HOST')) {
    reader.fail(
      'HOST',
      `--dev asks for no tokens, so it never listens on "${config.host}"; use 127.0.0.1, or leave out --dev and set up tokens`,
    );
  }
}

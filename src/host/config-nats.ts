/** Reads the settings of NATS, and what must hold between them. */
import type { NatsConfig, NatsServerConfig } from './config.ts';
import type { Parsed, SettingReader } from './config-reader.ts';
import { natsClientNames, natsServerNames, natsSettings } from './config-nats-settings.ts';
import { duration } from './config-times.ts';
import { anyText, hostAddress, listOf, oneOf, readableFile, wholeNumber } from './config-values.ts';

const leafRemotesMax = 10;
const fiveMinutesMs = 300_000;

export interface NatsSettings {
  readonly nats: NatsConfig | undefined;
  readonly natsServer: NatsServerConfig | undefined;
  readonly slotGraceMs: number;
}

export function readNats(reader: SettingReader): NatsSettings {
  const managed = reader.read('NATS', 'off', oneOf(['off', 'managed'])) === 'managed';
  const servers = reader.read('NATS_URL', undefined, natsUrls);
  const settings = {
    nats: servers === undefined ? undefined : readClient(reader, servers),
    natsServer: managed ? readServer(reader) : undefined,
    slotGraceMs: reader.read('SLOT_GRACE', fiveMinutesMs, duration(1000)),
  };
  if (managed && reader.isSet('NATS_URL'))
    reader.fail('NATS_URL', 'a managed nats-server brings its own address; leave this out, or NATS=managed');
  if (!managed) checkUnused(reader, natsServerNames, 'a nats-server of our own; add --nats managed');
  if (servers === undefined && !reader.failed('NATS_URL'))
    checkUnused(reader, natsClientNames, 'NATS servers; set NATS_URL');
  return settings;
}

/** Servers that ask for nothing, or for what is added. */
export function plainNats(...servers: readonly string[]): NatsConfig {
  return {
    servers,
    user: undefined,
    password: undefined,
    token: undefined,
    credsFile: undefined,
    nkeyFile: undefined,
    tlsCaFile: undefined,
    tlsCertFile: undefined,
    tlsKeyFile: undefined,
    replicas: 1,
  };
}

/** A gateway needs runtimes, and a runtime gateways. */
export function checkNats({ nats }: Pick<NatsSettings, 'nats'>, reader: SettingReader): void {
  if (nats === undefined && !reader.failed('NATS_URL'))
    reader.fail(
      'NATS_URL',
      'gateways and runtimes are joined by NATS; name its address, such as nats://127.0.0.1:4222',
    );
}

type NatsSettingName = keyof typeof natsSettings;

function checkUnused(reader: SettingReader, names: readonly NatsSettingName[], needs: string): void {
  for (const name of names) if (reader.isSet(name)) reader.fail(name, `means nothing without ${needs}`);
}

function readClient(reader: SettingReader, servers: readonly string[]): NatsConfig {
  const config = {
    servers,
    user: reader.read('NATS_USER', undefined, anyText),
    password: reader.read('NATS_PASSWORD', undefined, anyText),
    token: reader.read('NATS_TOKEN', undefined, anyText),
    credsFile: reader.read('NATS_CREDS_FILE', undefined, readableFile),
    nkeyFile: reader.read('NATS_NKEY_FILE', undefined, readableFile),
    tlsCaFile: reader.read('NATS_TLS_CA_FILE', undefined, readableFile),
    tlsCertFile: reader.read('NATS_TLS_CERT_FILE', undefined, readableFile),
    tlsKeyFile: reader.read('NATS_TLS_KEY_FILE', undefined, readableFile),
    replicas: reader.read('NATS_REPLICAS', 1, wholeNumber(1, 5)),
  };
  const ways = (['NATS_USER', 'NATS_TOKEN', 'NATS_CREDS_FILE', 'NATS_NKEY_FILE'] as const).filter((name) =>
    reader.isSet(name),
  );
  if (ways.length > 1)
    reader.problems.push(
      `${ways.map((name) => reader.label(name)).join(', ')}: NATS is told who we are in one way only; keep one of these`,
    );
  if (reader.isSet('NATS_USER') !== reader.isSet('NATS_PASSWORD'))
    reader.fail(
      reader.isSet('NATS_USER') ? 'NATS_USER' : 'NATS_PASSWORD',
      'user and password belong together; set both',
    );
  if (reader.isSet('NATS_TLS_CERT_FILE') !== reader.isSet('NATS_TLS_KEY_FILE'))
    reader.fail(
      reader.isSet('NATS_TLS_CERT_FILE') ? 'NATS_TLS_CERT_FILE' : 'NATS_TLS_KEY_FILE',
      'a certificate and its key belong together; set both',
    );
  return config;
}

function readServer(reader: SettingReader): NatsServerConfig {
  return {
    bin: reader.read('NATS_SERVER_BIN', 'nats-server', anyText),
    host: reader.read('NATS_SERVER_HOST', '127.0.0.1', hostAddress),
    port: reader.read('NATS_SERVER_PORT', 4222, wholeNumber(1, 65_535)),
    leafRemotes: reader.read('LEAF_REMOTES', [], leafUrls),
    domain: reader.read('NATS_DOMAIN', undefined, domainName),
  };
}

function natsUrls(text: string): Parsed<readonly string[]> {
  const value = listOf(text);
  if (value.length === 0) return { problem: 'names no server; write one such as nats://127.0.0.1:4222' };
  const wrong = value.findIndex((url) => !isNatsUrl(url, ['nats:', 'tls:']));
  // Not repeated: it may carry a password.
  return wrong < 0
    ? { value }
    : {
        problem: `address ${wrong + 1} of ${value.length} is no address of NATS, such as nats://127.0.0.1:4222 or tls://nats.example.com:4222`,
      };
}

function leafUrls(text: string): Parsed<readonly string[]> {
  const value = listOf(text);
  if (value.length > leafRemotesMax)
    return { problem: `names ${value.length} hubs; at most ${leafRemotesMax} are possible` };
  const wrong = value.findIndex((url) => !isNatsUrl(url, ['nats-leaf:', 'nats:', 'tls:', 'ws:', 'wss:']));
  return wrong < 0
    ? { value }
    : {
        problem: `address ${wrong + 1} of ${value.length} is no address of a hub, such as nats-leaf://hub.example.com:7422`,
      };
}

function isNatsUrl(text: string, schemes: readonly string[]): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, pathname, search, hash } = new URL(text);
  // A path may be the rest of a password with a slash in it, which would be shown. Only a hub behind a proxy has one.
  const isPlain = pathname === '' || pathname === '/' || protocol.startsWith('ws');
  return schemes.includes(protocol) && hostname !== '' && isPlain && search === '' && hash === '';
}

function domainName(text: string): Parsed<string> {
  const value = text.trim();
  if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/.test(value)) return { value };
  return { problem: `"${text}" is no name of a domain; use letters, digits, - and _, at most 32` };
}

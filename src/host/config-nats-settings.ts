/** The settings of several processes over NATS: part of the list in config-settings.ts, with its own file because there are many. */
import { durationText } from './config-times.ts';
import type { Config } from './config.ts';

export const natsSettings = {
  NATS_URL: {
    value: '<urls>',
    help: 'NATS servers to join processes by, separated by commas. Without: one process.',
    fallback: 'none',
    of: (c: Config) => c.nats?.servers,
  },
  NATS_USER: { value: '<name>', help: 'User at NATS.', fallback: 'none', of: (c: Config) => c.nats?.user },
  NATS_PASSWORD: {
    value: '<password>',
    help: 'Password at NATS. A flag shows in the process list: prefer the environment.',
    fallback: 'none',
    secret: true,
    of: (c: Config) => c.nats?.password,
  },
  NATS_TOKEN: {
    value: '<token>',
    help: 'Token at NATS, instead of user and password.',
    fallback: 'none',
    secret: true,
    of: (c: Config) => c.nats?.token,
  },
  NATS_CREDS_FILE: {
    value: '<file>',
    help: "A user's JWT and seed, as nsc writes it.",
    fallback: 'none',
    of: (c: Config) => c.nats?.credsFile,
  },
  NATS_NKEY_FILE: {
    value: '<file>',
    help: "The seed of a user's nkey.",
    fallback: 'none',
    of: (c: Config) => c.nats?.nkeyFile,
  },
  NATS_TLS_CA_FILE: {
    value: '<file>',
    help: 'Certificates (PEM) that the NATS servers are verified by.',
    fallback: 'those of the system',
    of: (c: Config) => c.nats?.tlsCaFile,
  },
  NATS_TLS_CERT_FILE: {
    value: '<file>',
    help: 'Client certificate (PEM) for NATS.',
    fallback: 'none',
    of: (c: Config) => c.nats?.tlsCertFile,
  },
  NATS_TLS_KEY_FILE: {
    value: '<file>',
    help: 'Its key (PEM).',
    fallback: 'none',
    of: (c: Config) => c.nats?.tlsKeyFile,
  },
  NATS_REPLICAS: {
    value: '<count>',
    help: 'Copies of streams and buckets in a NATS cluster; never lowered on what exists.',
    fallback: '1',
    of: (c: Config) => c.nats?.replicas,
  },
  SLOT_GRACE: {
    value: '<time>',
    help: 'How long a node that is away keeps slots without data; those with data stay its own.',
    fallback: '5m',
    of: (c: Config) => durationText(c.slotGraceMs),
  },
  NATS: {
    value: '<off|managed>',
    help: 'managed: start and supervise a nats-server on this machine.',
    fallback: 'off',
    of: (c: Config) => (c.natsServer === undefined ? 'off' : 'managed'),
  },
  NATS_SERVER_BIN: {
    value: '<program>',
    help: 'The nats-server that is started.',
    fallback: 'nats-server on the PATH',
    of: (c: Config) => c.natsServer?.bin,
  },
  NATS_SERVER_HOST: {
    value: '<address>',
    help: 'Address that it listens on.',
    fallback: '127.0.0.1',
    of: (c: Config) => c.natsServer?.host,
  },
  NATS_SERVER_PORT: {
    value: '<port>',
    help: 'Port that it listens on; a free one when that is taken.',
    fallback: '4222',
    of: (c: Config) => c.natsServer?.port,
  },
  LEAF_REMOTES: {
    value: '<urls>',
    help: 'Hubs that it becomes a leaf of, at most ten, separated by commas.',
    fallback: 'none',
    of: (c: Config) => c.natsServer?.leafRemotes,
  },
  NATS_DOMAIN: {
    value: '<name>',
    help: 'Its JetStream domain, as a leaf.',
    fallback: 'one of its own',
    of: (c: Config) => c.natsServer?.domain,
  },
} as const;

/** How a process that speaks with NATS says who it is, and by what it trusts: useful with NATS_URL only. */
export const natsClientNames = [
  'NATS_USER',
  'NATS_PASSWORD',
  'NATS_TOKEN',
  'NATS_CREDS_FILE',
  'NATS_NKEY_FILE',
  'NATS_TLS_CA_FILE',
  'NATS_TLS_CERT_FILE',
  'NATS_TLS_KEY_FILE',
  'NATS_REPLICAS',
] as const satisfies (keyof typeof natsSettings)[];

/** Of a nats-server of our own. */
export const natsServerNames = [
  'NATS_SERVER_BIN',
  'NATS_SERVER_HOST',
  'NATS_SERVER_PORT',
  'LEAF_REMOTES',
  'NATS_DOMAIN',
] as const satisfies (keyof typeof natsSettings)[];

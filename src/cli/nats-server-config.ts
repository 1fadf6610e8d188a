/**
 * The configuration file of a managed nats-server. Its format takes JSON, and what JSON quotes is quoted for it too.
 *
 * Everybody needs the password, monitoring over HTTP is off, JetStream stores under the data directory. Limits are the
 * server's own defaults. Leaf remotes bring their rules along (`nats-server-leaf.ts`).
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { plainNats } from '../host/config-nats.ts';
import type { NatsConfig, NatsServerConfig } from '../host/config.ts';
import type { NatsFolder } from './nats-server-folder.ts';
import { leafDomain, leafRemotes } from './nats-server-leaf.ts';

/** The text for one start on this port. @throws CommandError when remotes or domain are wrong */
export function natsServerConfig(config: NatsServerConfig, folder: NatsFolder, port: number): string {
  const remotes = leafRemotes(config.leafRemotes);
  const domain = leafDomain(config.domain, remotes.length, folder.name);
  const settings = {
    server_name: serverNameOf(folder),
    host: config.host,
    port,
    authorization: { user: folder.user, password: folder.password },
    // nats-server adds /jetstream to it.
    jetstream: { store_dir: folder.path, ...(domain === undefined ? {} : { domain }) },
    pid_file: folder.pidPath,
    // Lines get their time from our log.
    logtime: false,
    // The shortest that it takes. Clients leave one per second at most, and ours have left before it is stopped.
    lame_duck_duration: '30s',
    lame_duck_grace_period: '100ms',
    ...(remotes.length === 0 ? {} : { leafnodes: { remotes } }),
  };
  return `# Written by fermata at every start; changes are lost.\n${JSON.stringify(settings, undefined, 2)}\n`;
}

/** As it greets its clients. */
export function serverNameOf({ name }: NatsFolder): string {
  return `fermata-${name}`;
}

/** How to reach one that listens there. */
export function managedNats(
  host: string,
  port: number,
  { user, password }: { readonly user: string; readonly password: string },
): NatsConfig {
  const dial = dialHost(host);
  return { ...plainNats(`nats://${dial.includes(':') ? `[${dial}]` : dial}:${port}`), user, password };
}

/** Where we reach a server that listens there. */
export function dialHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

/** How to reach the one of this data directory; undefined when none was ever started there. @throws Error when it cannot be read */
export function managedNatsIn(dataDir: string): NatsConfig | undefined {
  let text: string;
  try {
    text = readFileSync(join(dataDir, 'nats', 'nats.conf'), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return undefined;
    throw error;
  }
  const { host, port, authorization } = JSON.parse(text.slice(text.indexOf('\n') + 1)) as Written;
  return managedNats(host, port, authorization);
}

/** What of it a client needs. */
interface Written {
  readonly host: string;
  readonly port: number;
  readonly authorization: { readonly user: string; readonly password: string };
}

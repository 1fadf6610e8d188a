/**
 * The configuration file of a managed nats-server. Its format takes JSON, and what JSON quotes is quoted for it too.
 *
 * Everybody needs the password, monitoring over HTTP is off, JetStream stores under the data directory. Limits are the
 * server's own defaults. Leaf remotes bring their rules along (`nats-server-leaf.ts`).
 */
import type { NatsServerConfig } from '../host/config.ts';
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

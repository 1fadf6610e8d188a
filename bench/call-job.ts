/** From a variant as scenarios name it to the job that the generator does. */
import { randomBytes } from 'node:crypto';
import type { CallJob, Keys, Peer } from './load-job.ts';
import type { ServerName, Servers } from './servers.ts';
import type { Window } from './tally.ts';

export interface CallVariant {
  /** As it stands in tables. */
  readonly name: string;
  readonly server: ServerName;
  readonly connections: number;
  /** Calls in flight per connection. */
  readonly pipelined: number;
  /** Connections are dealt out to so many tenants in turn. */
  readonly tenants: number;
  readonly keys: Keys;
  readonly actor: string;
  readonly method: string;
  readonly input: unknown;
  /** By how much a call raises the number that it returns; undefined when it returns none. */
  readonly counts: number | undefined;
}

/** One actor per connection. Frames are the same for every server. */
export async function callJob(servers: Servers, variant: CallVariant, window: Window): Promise<CallJob> {
  const { host, port, pid } = servers.get(variant.server);
  const peers: Peer[] = [];
  for (let index = 0; index < variant.connections; index += 1) {
    const token = await servers.token(variant.server, `tenant-${index % variant.tenants}`);
    peers.push({ token, actorId: `c${String(index).padStart(4, '0')}` });
  }
  return {
    kind: 'calls',
    target: { host, port, path: '/ws' },
    peers,
    pipelined: variant.pipelined,
    actor: variant.actor,
    method: variant.method,
    input: variant.input,
    keys: variant.keys,
    keyPrefix: randomBytes(6).toString('hex'),
    counts: variant.server === 'echo' ? undefined : variant.counts,
    window,
    serverPid: pid,
  };
}

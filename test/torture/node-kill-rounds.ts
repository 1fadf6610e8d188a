/**
 * Kill -9 of a process of a cluster under load, round by round, and its successor on the same data: mostly a runtime, now and
 * then again while it starts, sometimes while it obeys a SIGTERM, sometimes both runtimes, or a runtime and nats-server.
 *
 * What must hold: nothing acknowledged is lost or changed · nothing runs twice, and without a key also not when nobody knows ·
 * connections to gateways stay.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Member } from '../support/cluster.ts';
import { ClusterRun, type ClusterReport, type ClusterRoundOptions } from './cluster-run.ts';

export type NodeKill = 'runtime' | 'again' | 'drain' | 'both' | 'with nats';

const deck: readonly NodeKill[] = ['runtime', 'again', 'drain', 'both', 'with nats', 'runtime', 'drain', 'runtime'];
const killMsMax = 1000;
const awayMsMax = 3000;
const secondKillMsMax = 2500;
const drainMsMax = 300;

export interface NodeKillOptions extends ClusterRoundOptions {
  /** In turn; by default a mixture of all. */
  readonly kinds?: readonly NodeKill[];
}

export async function runNodeKillRounds(options: NodeKillOptions): Promise<ClusterReport> {
  const { rounds, msMax = Number.POSITIVE_INFINITY, kinds = deck } = options;
  const endMs = performance.now() + msMax;
  const run = await ClusterRun.start(options);
  try {
    for (let round = 0; round < rounds && performance.now() < endMs; round += 1) {
      const kind = kinds[round % kinds.length]!;
      const facts = await run.round(() => strike(run, kind));
      options.report?.(`round ${round + 1} ${kind}: ${facts}`);
    }
    return await run.finish();
  } finally {
    await run.end();
  }
}

async function strike({ cluster, random }: ClusterRun, kind: NodeKill): Promise<void> {
  const runtime = random.pick(cluster.runtimes);
  const victims = kind === 'both' ? cluster.runtimes : [runtime];
  await sleep(random.next() * killMsMax);
  if (kind === 'drain') {
    runtime.process.signal('SIGTERM');
    await sleep(random.next() * drainMsMax);
  }
  await Promise.all([
    ...victims.map((victim) => victim.kill9()),
    ...(kind === 'with nats' ? [cluster.nats.down('SIGKILL')] : []),
  ]);
  await sleep(random.next() * awayMsMax);
  if (kind === 'with nats') await cluster.nats.up();
  await Promise.all(
    victims.map((victim) => startAgain(victim, kind === 'again' ? random.next() * secondKillMsMax : 0)),
  );
}

/** Killed once more so long after it was launched, when that is not 0. */
async function startAgain(member: Member, secondKillMs: number): Promise<void> {
  if (secondKillMs > 0) {
    member.launch();
    await sleep(secondKillMs);
    await member.kill9();
  }
  await member.start();
}

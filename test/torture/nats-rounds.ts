/**
 * What can happen to NATS between gateways and runtimes, round by round, under load: restarted in order and by kill -9, away for
 * long, frozen, cut off from one runtime or one gateway, its store lost.
 *
 * What must hold: calls wait, or end `unknown` at their deadline · `/health` says 503 to who cannot reach it for long, and 200 again ·
 * nothing acknowledged is lost or changed, nothing runs twice · no process is started again for it, keeps growing, or ends.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Member } from '../support/cluster.ts';
import { ClusterRun, type ClusterReport, type ClusterRoundOptions } from './cluster-run.ts';

export const natsFaults = {
  restart: async ({ cluster: { nats } }) => {
    await nats.down('SIGTERM');
    await nats.up();
  },
  kill: async ({ cluster: { nats } }) => {
    await nats.down('SIGKILL');
    await nats.up();
  },
  away: async ({ cluster }, { awayMs }) => {
    await cluster.nats.down('SIGKILL');
    await without(cluster.gateways, awayMs);
    await cluster.nats.up();
  },
  frozen: async ({ cluster }, { frozenMs }) => {
    cluster.nats.freeze();
    await sleep(frozenMs);
    cluster.nats.thaw();
  },
  'runtime cut off': async ({ cluster, random }, { cutMs }) => await cutOff(random.pick(cluster.runtimes), cutMs),
  'gateway cut off': async ({ cluster, random }, { cutMs }) => await cutOff(random.pick(cluster.gateways), cutMs),
  'store lost': async ({ cluster: { nats } }) => {
    await nats.down('SIGKILL');
    nats.wipe();
    await nats.up();
  },
} as const satisfies Record<string, (run: ClusterRun, times: NatsTimes) => Promise<void>>;

export type NatsFault = keyof typeof natsFaults;

export interface NatsTimes {
  readonly awayMs: number;
  readonly frozenMs: number;
  readonly cutMs: number;
}

export interface NatsRoundOptions extends ClusterRoundOptions {
  /** All of them by default. */
  readonly faults?: readonly NatsFault[];
  readonly times?: NatsTimes;
}

/** Longer than a lease, so that it lapses. */
const fullTimes: NatsTimes = { awayMs: 30_000, frozenMs: 8000, cutMs: 15_000 };
/** In which a dead connection is noticed, and then seen by who asks for health. */
const noticedMsMax = 15_000;

export async function runNatsRounds(options: NatsRoundOptions): Promise<ClusterReport> {
  const { rounds, msMax = Number.POSITIVE_INFINITY, times = fullTimes } = options;
  const faults = options.faults ?? (Object.keys(natsFaults) as NatsFault[]);
  const endMs = performance.now() + msMax;
  const run = await ClusterRun.start(options);
  try {
    for (let round = 0; round < rounds && performance.now() < endMs; round += 1) {
      const fault = faults[round % faults.length]!;
      const facts = await run.round(() => natsFaults[fault](run, times));
      options.report?.(`round ${round + 1} ${fault}: ${facts}`);
    }
    return await run.finish();
  } finally {
    await run.end();
  }
}

/** NATS is away for so long; gateways say so meanwhile. */
async function without(gateways: readonly Member[], ms: number): Promise<void> {
  const untilMs = performance.now() + ms;
  for (const gateway of gateways) await gateway.becomes('/health', 503, noticedMsMax);
  await sleep(Math.max(0, untilMs - performance.now()));
}

async function cutOff(member: Member, ms: number): Promise<void> {
  const untilMs = performance.now() + ms;
  member.valve.shut();
  if (member.side === 'gateway') await member.becomes('/health', 503, noticedMsMax);
  await sleep(Math.max(0, untilMs - performance.now()));
  member.valve.reopen();
}

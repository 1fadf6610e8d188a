/** `fermata status`: all gateways, runtimes and slots at one NATS, what waits, and what a person has to do. Changes nothing. */
import type { ClusterStatus } from '../cluster/cluster-status.ts';
import { connectionSettings, type NatsClient, withCluster } from './cluster-connection.ts';
import { isOn, type Command, type Invocation } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { printable } from './readable.ts';
import { needsOf, type NodeAnswer, statusText } from './status-report.ts';

const answerMsMax = 2000;

export const statusCommand: Command = {
  name: 'status',
  usage: 'status',
  summary: 'Show gateways, runtimes and slots of several machines.',
  about:
    'Asks NATS who is there, which runtime owns which slot of tenants, what waits and what was put aside. ' +
    'Exits with 1 when something needs a person, and says what to do. Changes nothing.',
  examples: [
    ['fermata status --nats-url nats://127.0.0.1:4222', 'Everybody at this NATS.'],
    ['fermata status --data-dir ./data', 'At the NATS that a server with this directory manages.'],
    ['fermata status --json', 'For scripts, with every slot.'],
  ],
  positionalsMax: 0,
  flags: [{ name: '--json', value: undefined, help: 'JSON instead of tables.' }],
  settings: connectionSettings,
  run,
};

async function run(invocation: Invocation): Promise<number> {
  return await withCluster(invocation, async ({ nc }) => {
    const { clusterStatus } = await import('../cluster/cluster-status.ts');
    const status = await clusterStatus(nc);
    const needs = needsOf(status, await askNodes(nc, status));
    const { terminal } = invocation;
    if (isOn(invocation, '--json')) terminal.out(printable(JSON.stringify({ ...status, needs }, null, 2)));
    else terminal.out(statusText(status, needs, Date.now()));
    return needs.length === 0 ? exitCodes.ok : exitCodes.failed;
  });
}

/** Those that are up say themselves what only they can know. */
async function askNodes(nc: NatsClient, { nodes }: ClusterStatus): Promise<NodeAnswer[]> {
  const { askNode } = await import('../cluster/control.ts');
  // One that is starting or stopping answers no questions.
  const asked = nodes.filter(({ state, runtime }) => state === 'up' && runtime?.state === 'ready');
  return await Promise.all(
    asked.map(async ({ id }): Promise<NodeAnswer> => {
      try {
        return { id, conflicts: conflictsIn(await askNode(nc, id, 'status', {}, answerMsMax)), error: undefined };
      } catch (error) {
        return { id, conflicts: [], error: error instanceof Error ? error.message : String(error) };
      }
    }),
  );
}

/** Another process says it, perhaps of another version. */
function conflictsIn(answer: unknown): NodeAnswer['conflicts'] {
  const { conflicts } = Object(answer) as { conflicts?: unknown };
  if (!Array.isArray(conflicts)) return [];
  return conflicts.flatMap((conflict: unknown) => {
    const { slot, owner } = Object(conflict) as { slot?: unknown; owner?: unknown };
    return Number.isSafeInteger(slot) && typeof owner === 'string' ? [{ slot: slot as number, owner }] : [];
  });
}

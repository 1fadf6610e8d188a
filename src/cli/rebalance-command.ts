/** `fermata rebalance --dry-run`: which slots to move so that all runtimes own equally many. A plan; a person carries it out. */
import type { ClusterStatus } from '../cluster/cluster-status.ts';
import type { Move } from '../cluster/rebalance.ts';
import { connectionSettings, withCluster } from './cluster-connection.ts';
import { CommandError } from './command-error.ts';
import { isOn, type Command, type Invocation } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { counted, printable } from './readable.ts';

const command = 'rebalance';

export const rebalanceCommand: Command = {
  name: command,
  usage: 'rebalance --dry-run',
  summary: 'Plan which slots to move so that runtimes own equally many.',
  about:
    'Prints the moves as command lines, those of slots without data first, because nothing is shipped for them. ' +
    'It changes nothing: each move is made by itself, with `fermata move`, when its calls may wait for a moment.',
  examples: [
    ['fermata rebalance --dry-run', 'After a runtime joined: what to move to it.'],
    ['fermata rebalance --dry-run --json', 'For scripts.'],
  ],
  positionalsMax: 0,
  flags: [
    { name: '--dry-run', value: undefined, help: 'Print the plan.' },
    { name: '--json', value: undefined, help: 'JSON instead of command lines.' },
  ],
  settings: connectionSettings,
  run,
};

async function run(invocation: Invocation): Promise<number> {
  if (!isOn(invocation, '--dry-run')) {
    throw new CommandError('rebalance only plans; moves are made one by one', {
      exitCode: exitCodes.usage,
      hint: 'Print the plan with --dry-run, then run its lines: fermata move --slot <n> --to <node>',
    });
  }
  return await withCluster(invocation, async ({ nc }) => {
    const { clusterStatus } = await import('../cluster/cluster-status.ts');
    const { terminal } = invocation;
    const moves = await planOf(await clusterStatus(nc));
    if (isOn(invocation, '--json')) terminal.out(printable(JSON.stringify(moves, null, 2)));
    else if (moves.length === 0) terminal.out('nothing to move: runtimes that are up own equally many slots');
    else {
      const data = moves.filter(({ hasData }) => hasData).length;
      terminal.out(moves.map(lineOf).join('\n'));
      terminal.err(`${counted(moves.length, 'move')}, ${data} of them with data`);
    }
    return exitCodes.ok;
  });
}

async function planOf({ nodes, slots }: ClusterStatus): Promise<Move[]> {
  const { planRebalance } = await import('../cluster/rebalance.ts');
  const live = nodes.filter(({ state }) => state === 'up');
  if (live.length === 0)
    throw new CommandError('no runtime is up, so there is nobody to move slots to', { exitCode: exitCodes.failed });
  const owned = slots.flatMap(({ slot, owner, hasData }) => (owner === null ? [] : [{ slot, owner, hasData }]));
  return planRebalance(
    owned,
    live.map(({ id, runtime }) => ({ id, load: runtime?.load ?? 0 })),
  );
}

function lineOf({ slot, from, to, hasData }: Move): string {
  return `fermata move --slot ${slot} --to ${to}  # from ${from}${hasData ? '' : ', without data'}`;
}

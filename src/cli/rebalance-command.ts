/** `fermata rebalance`: moves slots so that all runtimes own equally many, one after the other, or only says which. */
import type { ClusterStatus } from '../cluster/cluster-status.ts';
import type { Move } from '../cluster/rebalance.ts';
import { connectionSettings, type NatsClient, withCluster } from './cluster-connection.ts';
import { CommandError } from './command-error.ts';
import { isOn, type Command, type Invocation, type Terminal } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { counted, printable } from './readable.ts';

export const rebalanceCommand: Command = {
  name: 'rebalance',
  usage: 'rebalance',
  summary: 'Move slots so that runtimes own equally many, or plan it.',
  about:
    'Makes as few moves as it takes, one after the other as `fermata move` does, those of slots without data first, because nothing is shipped ' +
    'for them. It stops at the first that fails; what was moved stays, and it can be run again. With --dry-run it prints the moves as ' +
    'command lines and changes nothing.',
  examples: [
    ['fermata rebalance --dry-run', 'After a runtime joined: what would be moved to it.'],
    ['fermata rebalance', 'Move it.'],
    ['fermata rebalance --dry-run --json', 'For scripts.'],
  ],
  positionalsMax: 0,
  flags: [
    { name: '--dry-run', value: undefined, help: 'Only print the moves.' },
    { name: '--json', value: undefined, help: 'With --dry-run: JSON instead of command lines.' },
  ],
  settings: connectionSettings,
  run,
};

async function run(invocation: Invocation): Promise<number> {
  return await withCluster(invocation, async ({ nc }) => {
    const { clusterStatus } = await import('../cluster/cluster-status.ts');
    const { terminal } = invocation;
    const moves = await planOf(await clusterStatus(nc));
    const plans = isOn(invocation, '--dry-run');
    if (plans && isOn(invocation, '--json')) terminal.out(printable(JSON.stringify(moves, null, 2)));
    else if (moves.length === 0) terminal.out('nothing to move: runtimes that are up own equally many slots');
    else if (!plans) await carryOut(nc, moves, terminal);
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

/** @throws CommandError at the first that fails */
async function carryOut(nc: NatsClient, moves: readonly Move[], terminal: Terminal): Promise<void> {
  const { runMove } = await import('./move-run.ts');
  for (const [at, { slot, to }] of moves.entries()) {
    terminal.out(`${at + 1} of ${moves.length}: slot ${slot} to node ${to}`);
    await runMove(nc, { slot, tenant: undefined, to, abandonsData: false }, terminal);
  }
  terminal.out(`moved ${counted(moves.length, 'slot')}`);
}

function lineOf({ slot, from, to, hasData }: Move): string {
  return `fermata move --slot ${slot} --to ${to}  # from ${from}${hasData ? '' : ', without data'}`;
}

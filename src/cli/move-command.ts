/** `fermata move`: takes a slot, with the tenants in it, to another node while clients go on calling. */
import { isTenant } from '../protocol/address.ts';
import { slotOf } from '../protocol/placement.ts';
import { slots } from '../transport/nats-names.ts';
import { connectionSettings, withCluster } from './cluster-connection.ts';
import { CommandError } from './command-error.ts';
import { flagValue, isOn, type Command, type Invocation } from './command.ts';
import { exitCodes } from './exit-codes.ts';

export const moveCommand: Command = {
  name: 'move',
  usage: 'move (--slot <n> | --tenant <tenant>) --to <node>',
  summary: 'Move a slot of tenants to another runtime, in service.',
  about:
    'Tenants lie in slots, and each slot belongs to one runtime. This takes a slot with all of its tenants to another one: the owner ' +
    'finishes what it has begun, ships the files through NATS, the target checks them, and then the slot is its own. Calls wait ' +
    'meanwhile; none fails and none runs twice. When anything goes wrong on the way, the owner serves the slot as before.',
  examples: [
    ['fermata move --slot 17 --to k3x9', 'To the node whose id begins so; `fermata status` lists them.'],
    ['fermata move --tenant acme --to k3x9', 'The slot that this tenant lies in, with all who lie there.'],
    [
      'fermata move --slot 17 --to k3x9 --abandon-data',
      'Its owner is gone for good, with the data: the tenants begin with nothing.',
    ],
  ],
  positionalsMax: 0,
  flags: [
    { name: '--slot', value: '<n>', help: `Number of the slot, 0 to ${slots - 1}.` },
    { name: '--tenant', value: '<tenant>', help: 'A tenant instead: its slot is moved.' },
    { name: '--to', value: '<node>', help: 'Id of the node that gets it, or the beginning of one.' },
    {
      name: '--abandon-data',
      value: undefined,
      help: "Only while the owner is away: take the slot without its tenants' data. They begin with nothing.",
    },
  ],
  settings: connectionSettings,
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const slot = slotAsked(invocation);
  const to = flagValue(invocation, '--to');
  if (to === undefined || to === '') throw usage('--to is missing: the node that gets the slot');
  const tenant = flagValue(invocation, '--tenant');
  const abandonsData = isOn(invocation, '--abandon-data');
  return await withCluster(invocation, async ({ nc }) => {
    const { runMove } = await import('./move-run.ts');
    await runMove(nc, { slot, tenant, to, abandonsData }, invocation.terminal);
    return exitCodes.ok;
  });
}

function slotAsked(invocation: Invocation): number {
  const slot = flagValue(invocation, '--slot');
  const tenant = flagValue(invocation, '--tenant');
  if ((slot === undefined) === (tenant === undefined)) throw usage('say what to move: --slot or --tenant, one of them');
  if (tenant !== undefined) {
    if (!isTenant(tenant)) throw usage(`${JSON.stringify(tenant)} is not a name that a tenant can have`);
    return slotOf(tenant, slots);
  }
  if (!/^\d{1,3}$/.test(slot!) || Number(slot) >= slots)
    throw usage(`--slot must be a whole number from 0 to ${slots - 1}, not "${slot}"`);
  return Number(slot);
}

function usage(message: string): CommandError {
  return new CommandError(message, { exitCode: exitCodes.usage, hint: `It is: fermata ${moveCommand.usage}` });
}

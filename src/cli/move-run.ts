/** The conversation of `fermata move`: with the bucket of slots, the owner and the target. Says what happens, a line a step. */
import { setTimeout as delay } from 'node:timers/promises';
import { type ClusterStatus, clusterStatus, type NodeStatus, type SlotStatus } from '../cluster/cluster-status.ts';
import { askNode } from '../cluster/control.ts';
import { fieldsOf, type MoveState, type MoveStep, parseMoveState } from '../cluster/move-questions.ts';
import { isTenant } from '../protocol/address.ts';
import type { NatsClient } from './cluster-connection.ts';
import { CommandError } from './command-error.ts';
import type { Terminal } from './command.ts';
import { exitCodes } from './exit-codes.ts';
import { counted, readableBytes } from './readable.ts';

export interface MoveAsked {
  readonly slot: number;
  /** When the slot was named by one of its tenants. */
  readonly tenant: string | undefined;
  /** The beginning of a node's id. */
  readonly to: string;
  readonly abandonsData: boolean;
}

const questionMs = 10_000;
const takeMsMax = 60_000;
const lookMs = 200;
/** An owner that says nothing for so long is waited for no more. */
const silentMsMax = 60_000;

/** @throws CommandError when the slot was not moved; Error when NATS does not answer */
export async function runMove(nc: NatsClient, asked: MoveAsked, terminal: Terminal): Promise<void> {
  const { slot } = asked;
  const status = await clusterStatus(nc);
  const to = nodeAsked(status, asked.to);
  const owner = ownerOf(status.slots[slot]!, status);
  if (asked.tenant !== undefined) terminal.out(`tenant ${asked.tenant} lies in slot ${slot}; the whole slot is moved`);
  if (owner.id === to.id) {
    terminal.out(`slot ${slot} belongs to node ${to.id} already; there is nothing to move`);
    return;
  }
  if (!isThere(to))
    throw failure(`node ${to.id} cannot take the slot: it is ${to.state}`, 'Start it, or name another.');
  if (asked.abandonsData) return await abandon(nc, slot, owner, to, terminal);
  if (!isThere(owner))
    throw failure(
      `slot ${slot} cannot be moved: its data lies on its owner, and node ${owner.id} is ${owner.state}`,
      'Start it again with its data directory. If its disk is lost, --abandon-data gives the slot away without the data.',
    );
  await listTenants(nc, slot, owner.id, terminal);
  await question(nc, owner.id, 'move', { slot, to: to.id }, questionMs);
  await follow(nc, slot, owner.id, to.id, terminal);
}

async function abandon(
  nc: NatsClient,
  slot: number,
  owner: NodeStatus,
  to: NodeStatus,
  terminal: Terminal,
): Promise<void> {
  if (isThere(owner))
    throw failure(
      `node ${owner.id} owns slot ${slot} and is there, so that its data can come along`,
      'Leave out --abandon-data.',
    );
  const { tenants } = fieldsOf(await question(nc, to.id, 'takeAbandoned', { slot }, takeMsMax));
  const what =
    typeof tenants === 'number' && tenants > 0
      ? `with ${counted(tenants, 'tenant')} whose files lay there already`
      : `without the data that lies on node ${owner.id}: its tenants begin with nothing`;
  terminal.out(`slot ${slot} belongs to node ${to.id} now, ${what}`);
  terminal.out(
    `  when node ${owner.id} comes back, it does not serve the slot any more; its files stay where they are`,
  );
}

async function listTenants(nc: NatsClient, slot: number, node: string, terminal: Terminal): Promise<void> {
  const { count, names } = fieldsOf(await question(nc, node, 'slotTenants', { slot }, questionMs));
  if (typeof count !== 'number' || !Array.isArray(names)) return;
  const list = names.map(String).filter(isTenant);
  const more = count > list.length ? ` and ${count - list.length} more` : '';
  const what = count === 0 ? 'no tenants yet' : `${counted(count, 'tenant')}: ${list.join(', ')}${more}`;
  terminal.out(`slot ${slot} has ${what}`);
}

/** Until it is done. @throws CommandError */
async function follow(nc: NatsClient, slot: number, owner: string, to: string, terminal: Terminal): Promise<void> {
  let told: MoveStep | undefined;
  for (let heardMs = performance.now(); ; await delay(lookMs)) {
    let state: MoveState | undefined;
    try {
      state = parseMoveState(await question(nc, owner, 'moveState', {}, questionMs));
      heardMs = performance.now();
    } catch (error) {
      if (performance.now() - heardMs < silentMsMax) continue;
      throw unheard(owner, slot, error);
    }
    if (state === undefined || state.slot !== slot || state.to !== to) throw unheard(owner, slot, undefined);
    if (state.step !== told) tell(terminal, state);
    told = state.step;
    if (state.step === 'done') return;
    if (state.step === 'failed')
      throw failure(
        `slot ${slot} was not moved: ${state.error ?? 'no reason was given'}`,
        `Node ${owner} goes on serving it.`,
      );
  }
}

function nodeAsked({ nodes }: ClusterStatus, asked: string): NodeStatus {
  const found = nodes.filter(({ id }) => id.startsWith(asked));
  if (found.length === 1) return found[0]!;
  const names = (list: readonly NodeStatus[]): string => list.map(({ id }) => id).join(', ');
  throw failure(
    found.length === 0 ? `there is no node whose id begins with "${asked}"` : `"${asked}" begins more than one id`,
    `Nodes: ${names(found.length === 0 ? nodes : found) || 'none'}`,
  );
}

function ownerOf({ slot, owner }: SlotStatus, { nodes }: ClusterStatus): NodeStatus {
  if (owner === null)
    throw failure(
      `slot ${slot} has no owner yet, so that there is nothing to move`,
      'A runtime takes it by itself as soon as one is there.',
    );
  const found = nodes.find(({ id }) => id === owner);
  if (found === undefined)
    throw failure(`slot ${slot} belongs to node ${owner}, of which nothing is known`, 'See: fermata status');
  return found;
}

function isThere({ state }: NodeStatus): boolean {
  return state === 'up';
}

const words: Readonly<Record<MoveStep, string>> = {
  preparing: 'asking the target',
  draining: 'finishing what was begun; new calls wait',
  packing: 'bringing the files up to date',
  shipping: 'shipping the files',
  receiving: 'the target fetches and checks the files',
  'handing over': 'handing the slot over',
  starting: 'the target begins to serve',
  undoing: 'it failed; the slot goes back into service',
  done: 'done',
  failed: 'failed',
};

function tell(terminal: Terminal, { step, slot, to, tenants, bytes, keptIn, remark }: MoveState): void {
  if (step === 'failed') return;
  if (step !== 'done') return terminal.out(`  ${words[step]}`);
  terminal.out(`slot ${slot} belongs to node ${to} now: ${counted(tenants, 'tenant')}, ${readableBytes(bytes)}`);
  if (keptIn !== undefined)
    terminal.out(`  the former files are kept on the former owner in ${keptIn}; delete them when you are sure`);
  if (remark !== undefined) terminal.err(`  ${remark}`);
}

function unheard(node: string, slot: number, cause: unknown): CommandError {
  return new CommandError(`node ${node} says nothing of the move of slot ${slot} any more`, {
    exitCode: exitCodes.failed,
    hint: 'Its next start ends the move, or takes it back; nothing is lost. See: fermata status',
    cause,
  });
}

/** @throws CommandError with what the node says */
async function question(nc: NatsClient, node: string, op: string, argument: unknown, msMax: number): Promise<unknown> {
  try {
    return await askNode(nc, node, op, argument, msMax);
  } catch (error) {
    throw new CommandError(error instanceof Error ? error.message : String(error), {
      exitCode: exitCodes.failed,
      cause: error,
    });
  }
}

function failure(message: string, hint: string): CommandError {
  return new CommandError(message, { exitCode: exitCodes.failed, hint });
}

/** What `fermata status` says of a cluster: tables for people, and what a person has to do. Pure: it is given all it knows. */
import type { ClusterStatus, NodeStatus } from '../cluster/cluster-status.ts';
import { counted, grouped, printable, readableAge, readableBytes, readableTable, readableTime } from './readable.ts';

/** Something that does not mend itself. */
export interface Need {
  readonly problem: string;
  readonly advice: string;
}

/** What a node that was asked said of itself, or why it did not. */
export interface NodeAnswer {
  readonly id: string;
  /** Slots whose data lies there, while another node serves them with data of its own. */
  readonly conflicts: readonly { readonly slot: number; readonly owner: string }[];
  readonly error: string | undefined;
}

/** A node that stopped on purpose is being restarted, for so long. */
const stoppedMsMax = 60_000;

export function needsOf({ nodes, slots, dead }: ClusterStatus, answers: readonly NodeAnswer[]): Need[] {
  const needs: Need[] = [];
  const names = (list: readonly number[]): string => `${list.length === 1 ? 'slot' : 'slots'} ${rangesOf(list)}`;
  const nobodys = slots.filter(({ owner }) => owner === null).map(({ slot }) => slot);
  if (!nodes.some(({ state }) => state === 'up'))
    needs.push({ problem: 'no runtime is up', advice: 'start one with its data directory: fermata runtime <app>' });
  else if (nobodys.length > 0)
    needs.push({
      problem: `${names(nobodys)} without an owner`,
      advice: 'a runtime takes them within seconds; if they stay, look at the log of the runtimes',
    });
  for (const { id, state, silentMs } of nodes) {
    if (state === 'up' || (state === 'stopped' && silentMs < stoppedMsMax)) continue;
    const kept = slots.filter(({ owner, hasData }) => owner === id && hasData).map(({ slot }) => slot);
    if (kept.length > 0)
      needs.push({
        problem: `${names(kept)} with data of node ${id}, which is ${state} (${readableAge(silentMs)})`,
        advice: `start it again with its data directory; when that is lost for good: ${abandonLine(kept[0]!)}`,
      });
  }
  for (const { id, conflicts, error } of answers) {
    if (error !== undefined)
      needs.push({ problem: `${error}, but renews its lease`, advice: 'look at its log, and at NATS permissions' });
    if (conflicts.length > 0)
      needs.push({
        problem: `data of ${names(conflicts.map(({ slot }) => slot))} on node ${id} is not served: another node has data of its own`,
        advice: 'decide which data is right, and move the other out of its data directory',
      });
  }
  if (dead.messages > 0)
    needs.push({ problem: counted(dead.messages, 'dead letter'), advice: 'look at them: fermata dlq list' });
  return needs;
}

function abandonLine(slot: number): string {
  return `fermata move --slot ${slot} --to <node> --abandon-data`;
}

export function statusText(status: ClusterStatus, needs: readonly Need[], nowMs: number): string {
  const { nodes, gateways, calls, dead } = status;
  // What was deposed and owns nothing is history.
  const shown = nodes.filter(({ state, slots }) => state !== 'deposed' || slots > 0);
  const parts = [
    readableTable(
      ['node', 'state', 'lease', 'slots', 'with data', 'shards', 'load', 'version', 'host', 'since'],
      shown.map((node) => nodeRow(node, nowMs)),
    ),
    gateways.length === 0
      ? 'no gateways'
      : readableTable(
          ['gateway', 'state', 'load', 'version', 'host', 'since'],
          gateways.map(({ id, state, load, version, host, sinceMs }) =>
            [id, state, grouped(load), version, host, readableAge(nowMs - sinceMs)].map(printable),
          ),
        ),
    readableTable(['slots', 'owner', 'epochs', 'with data', 'waiting frames'], slotRows(status)),
    `${counted(calls.messages, 'frame')} of calls in NATS (${readableBytes(calls.bytes)}), ${counted(dead.messages, 'dead letter')}`,
    needs.length === 0
      ? 'nothing needs you'
      : needs.map(({ problem, advice }) => printable(`! ${problem}: ${advice}`)).join('\n'),
  ];
  return parts.join('\n\n');
}

function nodeRow({ id, state, leaseMs, silentMs, slots, slotsWithData, runtime }: NodeStatus, nowMs: number): string[] {
  const lease =
    state === 'up' && silentMs <= leaseMs
      ? `held, ${readableTime(leaseMs - silentMs)} left`
      : `renewed ${readableAge(silentMs)}`;
  const own =
    runtime === undefined
      ? []
      : [
          String(runtime.shards),
          grouped(runtime.load),
          runtime.version,
          runtime.host,
          readableAge(nowMs - runtime.sinceMs),
        ];
  return [id, state, lease, String(slots), String(slotsWithData), ...own].map(printable);
}

/** One row for each owner. */
function slotRows({ slots }: ClusterStatus): string[][] {
  const owners = [...new Set(slots.map(({ owner }) => owner))];
  return owners.map((owner) => {
    const own = slots.filter((slot) => slot.owner === owner);
    const epochs = own.map(({ epoch }) => epoch);
    const [least, most] = [Math.min(...epochs), Math.max(...epochs)];
    return [
      rangesOf(own.map(({ slot }) => slot)),
      owner ?? 'nobody',
      least === most ? String(least) : `${least}-${most}`,
      rangesOf(own.filter(({ hasData }) => hasData).map(({ slot }) => slot)) || 'none',
      grouped(own.reduce((sum, { backlog }) => sum + backlog, 0)),
    ];
  });
}

/** `0-20, 25`, `0, 2 … 62`: rising numbers, those at equal distances as one. */
export function rangesOf(numbers: readonly number[]): string {
  const parts: string[] = [];
  for (let at = 0; at < numbers.length; ) {
    const first = numbers[at]!;
    const step = (numbers[at + 1] ?? first) - first;
    let end = at + 1;
    while (numbers[end] === numbers[end - 1]! + step) end += 1;
    const isRun = step === 1 || end - at >= stepsMin;
    if (!isRun) end = at + 1;
    const last = numbers[end - 1]!;
    if (end === at + 1) parts.push(`${first}`);
    else parts.push(step === 1 ? `${first}-${last}` : `${first}, ${first + step} … ${last}`);
    at = end;
  }
  return parts.join(', ');
}

/** Fewer are written out. */
const stepsMin = 4;

/**
 * The judgement at the end of a storm: what callers were told, held against what the actors hold.
 *
 *   every call that was told ok is there, none is twice, none that was rejected is there
 *   each client's calls to one actor ran in the order of calling, apart from those that were refused and made again
 *   who is present is connected, and everybody else came and left, once each
 */
import type { Violation } from '../oracle.ts';
import type { RoomState, Transcript } from './room-watch.ts';
import type { StormClient, Told } from './storm-client.ts';

/** `<client> <n>` of each call of one actor, in the order in which they ran. */
export type Ran = readonly string[];

export function judgeCalls(name: string, ran: Ran, calls: ReadonlyMap<string, CallOf>): Violation[] {
  const violations: Violation[] = [];
  const seen = new Set<string>();
  for (const entry of ran) {
    const told = calls.get(entry)?.told;
    if (seen.has(entry)) violations.push({ kind: 'doubled', text: `${name} ran ${entry} twice` });
    if (told === undefined) violations.push({ kind: 'changed', text: `${name} ran ${entry}, which nobody called` });
    else if (told.fate === 'rejected') {
      violations.push({ kind: 'changed', text: `${name} ran ${entry}, which had been rejected: ${told.error}` });
    }
    seen.add(entry);
  }
  for (const [entry, { told }] of calls) {
    if (told.fate === 'ok' && !seen.has(entry)) violations.push({ kind: 'lost', text: `${name} never ran ${entry}` });
  }
  return [...violations, ...judgeOrder(name, ran, calls)];
}

interface CallOf {
  readonly told: Told;
  readonly client: StormClient;
}

/** All calls to one actor, by what they left there. */
export function callsTo(clients: readonly StormClient[], kind: Told['kind'], actorId: string): Map<string, CallOf> {
  const calls = new Map<string, CallOf>();
  for (const client of clients) {
    for (const told of client.calls) {
      if (told.kind === kind && told.actorId === actorId) calls.set(`${client.name} ${told.n}`, { told, client });
    }
  }
  return calls;
}

/** Every call must have ended well: nobody's time was up. */
export function judgeEnds(clients: readonly StormClient[]): Violation[] {
  return clients.flatMap(({ name, calls }) =>
    calls
      .filter(({ fate }) => fate !== 'ok')
      .map(({ kind, actorId, n, fate, error }): Violation => {
        return { kind: 'unavailable', text: `${name}'s call ${n} to ${kind} ${actorId} ended as ${fate}: ${error}` };
      }),
  );
}

/** A room keeps no list, but the events tell of each call. */
export function judgeRoom(
  name: string,
  state: RoomState,
  transcript: Transcript,
  calls: ReadonlyMap<string, CallOf>,
): Violation[] {
  const violations: Violation[] = [];
  const ran = Array.from({ length: state.count }, (_, index) => transcript.get(index + 1) ?? '');
  const heard = ran.filter((entry) => entry !== '');
  if (heard.length < ran.length)
    violations.push({ kind: 'lost', text: `${name} had ${ran.length} calls, of which ${heard.length} were heard` });
  if (transcript.size > heard.length)
    violations.push({
      kind: 'changed',
      text: `${name} had ${ran.length} calls; events of ${transcript.size} were heard`,
    });
  for (const { told, client } of calls.values()) {
    const entry = `${client.name} ${told.n}`;
    if (told.fate === 'ok' && transcript.get(told.returned) !== entry)
      violations.push({
        kind: 'changed',
        text: `${name} told ${entry} that it was call ${told.returned}, and others not`,
      });
  }
  return [...violations, ...judgeCalls(name, heard, calls), ...judgeVisits(name, state)];
}

function judgeVisits(name: string, { visits, online }: RoomState): Violation[] {
  const violations: Violation[] = [];
  const present = new Set<string>();
  for (const visit of visits) {
    const clientId = visit.slice(1);
    const came = visit.startsWith('+');
    if (present.has(clientId) === came)
      violations.push({
        kind: 'doubled',
        text: `${name}: ${came ? 'onConnect' : 'onDisconnect'} ran twice for ${clientId}`,
      });
    if (came) present.add(clientId);
    else present.delete(clientId);
  }
  const listed = Object.keys(online);
  const missing = listed.filter((clientId) => !present.has(clientId));
  if (missing.length > 0 || listed.length !== present.size)
    violations.push({
      kind: 'changed',
      text: `${name} lists ${listed.length} who are present, its hooks say ${present.size}`,
    });
  return violations;
}

function judgeOrder(name: string, ran: Ran, calls: ReadonlyMap<string, CallOf>): Violation[] {
  const violations: Violation[] = [];
  const last = new Map<string, number>();
  for (const entry of ran) {
    const call = calls.get(entry);
    if (call === undefined || call.client.overheard.refused.has(call.told.id)) continue;
    const { client, told } = call;
    const before = last.get(client.name) ?? 0;
    if (told.n < before)
      violations.push({ kind: 'changed', text: `${name} ran ${entry} after ${client.name} ${before}` });
    last.set(client.name, Math.max(before, told.n));
  }
  return violations;
}

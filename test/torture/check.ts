/**
 * Holds a server that came back against the oracle: what every actor says, then every unknown call with a key again, then
 * old keys again, which must change nothing, then what every actor says once more. The accounts are settled with that.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BaseClient } from '../support/base-client.ts';
import { getState } from '../support/http.ts';
import { mint } from '../support/token.ts';
import { call } from './load.ts';
import type { ActorLog, Observed, Sent, Violation } from './oracle.ts';
import type { SeededRandom } from './seeded-random.ts';

export interface CheckOptions {
  /** Gets what is found. */
  readonly violations: Violation[];
  readonly random: SeededRandom;
  /** Old calls with a key that are repeated, beside the newest of each actor. */
  readonly repeats: number;
}

/** Refusals of one repeat after which a server counts as unavailable. */
const rejectionsMax = 25;

export async function checkAgainst(address: string, actors: readonly ActorLog[], options: CheckOptions): Promise<void> {
  const { violations, random, repeats } = options;
  await observeAll(address, actors, violations, (actor, observed) => actor.checkRecovered(observed));
  const clients = new Map<string, BaseClient>();
  for (const { tenant } of actors) {
    if (clients.has(tenant)) continue;
    clients.set(tenant, await BaseClient.connect(address, { token: await mint({ tenant, sub: 'checker' }), v1: true }));
  }
  for (const actor of actors) {
    const client = clients.get(actor.tenant)!;
    await Promise.all(actor.unknownKeyed().map((sent) => settleUnknown(client, actor, sent, violations)));
  }
  // Everything of this round first: what was acknowledged last is what a crash would take first.
  const old = actors.flatMap((actor) => actor.ackedKeyed().map((sent) => ({ actor, sent })));
  const again = actors.flatMap((actor) =>
    actor
      .ackedKeyed()
      .slice(-2)
      .map((sent) => ({ actor, sent })),
  );
  for (let n = 0; n < repeats && old.length > 0; n += 1) again.push(random.pick(old));
  for (const { actor, sent } of again) await repeat(clients.get(actor.tenant)!, actor, sent, violations);
  await observeAll(address, actors, violations, (actor, observed) => actor.settle(observed));
  for (const client of clients.values()) client.socket.terminate();
}

async function observeAll(
  address: string,
  actors: readonly ActorLog[],
  violations: Violation[],
  judge: (actor: ActorLog, observed: Observed) => Violation[],
): Promise<void> {
  for (const actor of actors) {
    const token = await mint({ tenant: actor.tenant, sub: 'checker' });
    const { status, text, json } = await getState(address, actor.kind, actor.id, { token });
    if (status === 200) violations.push(...judge(actor, json() as Observed));
    else violations.push({ kind: 'unavailable', text: `${actor.name} cannot be read: ${status} ${text}` });
  }
}

async function settleUnknown(client: BaseClient, actor: ActorLog, sent: Sent, violations: Violation[]): Promise<void> {
  let outcome = await call(client, actor, sent, violations);
  // A server that is getting well refuses for a second or two, and says that it may be asked again.
  for (let tries = 0; outcome === 'rejected' && tries < rejectionsMax; tries += 1) {
    await sleep(200);
    outcome = await call(client, actor, sent, violations);
  }
  if (outcome !== 'acked')
    violations.push({ kind: 'unavailable', text: `${actor.name}: repeating ${sent.key} ended ${outcome}` });
}

async function repeat(client: BaseClient, actor: ActorLog, sent: Sent, violations: Violation[]): Promise<void> {
  const { answer } = sent;
  await call(client, actor, sent, violations);
  if (sent.answer === answer) return;
  violations.push({ kind: 'changed', text: `${actor.name}: ${answer} became ${sent.answer}` });
}

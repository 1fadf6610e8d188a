/**
 * Asks a server about everything that a world holds: each actor's state, keyed calls once more, what a subscriber of the
 * former run missed, and each state again, which repeats must not have changed.
 *
 * An answer is right, or a refusal that says so; everything else is a finding.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { BaseClient, type Frame } from '../../support/base-client.ts';
import { getState } from '../../support/http.ts';
import { patched, type PatchOp } from '../../support/stock-patches.ts';
import { mint } from '../../support/token.ts';
import type { SeededRandom } from '../seeded-random.ts';
import type { Judgement, KnownActor, Place, RoomState } from './known-actor.ts';
import type { World } from './world.ts';

export interface Finding {
  readonly kind: 'refused' | 'rolled-back' | 'doubled' | 'wrong';
  readonly text: string;
}

const repeatsPerActor = 4;
const streamMsMax = 2000;
/** A room may still be telling the visitors of a former process goodbye. */
const settleMsMax = 1000;

export async function judgeWorld(address: string, world: World, random: SeededRandom): Promise<Finding[]> {
  const tenants = [...new Set(world.actors.map(({ tenant }) => tenant))];
  const findings = await Promise.all(
    tenants.map((tenant) =>
      judgeTenant(
        address,
        tenant,
        world.actors.filter((actor) => actor.tenant === tenant),
        random,
      ),
    ),
  );
  return findings.flat();
}

async function judgeTenant(
  address: string,
  tenant: string,
  actors: readonly KnownActor[],
  random: SeededRandom,
): Promise<Finding[]> {
  const token = await mint({ tenant, sub: 'judge' });
  const client = await BaseClient.connect(address, { token, v1: true });
  const findings: Finding[] = [];
  try {
    for (const actor of actors) {
      const found = await judgeState(address, token, actor, '');
      findings.push(...found);
      // What was rolled back gives other answers, and runs repeats: counted once.
      if (found.some(({ kind }) => kind !== 'refused')) continue;
      findings.push(...(await repeat(client, actor, random)));
      if (actor.type === 'room') {
        findings.push(...(await resumeState(client, actor, random)));
        findings.push(...(await resumeEvents(client, actor, random)));
      }
      if (found.length === 0) findings.push(...(await judgeState(address, token, actor, ' after repeats')));
    }
  } finally {
    client.socket.terminate();
  }
  return findings;
}

async function judgeState(address: string, token: string, actor: KnownActor, when: string): Promise<Finding[]> {
  const endMs = performance.now() + settleMsMax;
  for (;;) {
    const { status, text, json } = await getState(address, actor.type, actor.id, { token });
    if (status !== 200) return [refusal(`${actor.name}${when}`, text)];
    const judgement = actor.judge(json());
    if (judgement === 'right') return [];
    if (actor.type !== 'room' || performance.now() > endMs)
      return [finding(judgement, `${actor.name}${when} says ${short(text)}`)];
    await sleep(100);
  }
}

/** The newest first: what was acknowledged last is what damage at the end of a file takes. */
async function repeat(client: BaseClient, actor: KnownActor, random: SeededRandom): Promise<Finding[]> {
  const again = actor.answered.slice(-repeatsPerActor);
  for (let n = 0; n < repeatsPerActor; n += 1) again.push(random.pick(actor.answered));
  const findings: Finding[] = [];
  for (const { ask, result } of again) {
    const reply = await client.call(ask);
    if (reply.outcome === 'ok' && reply.result === result) continue;
    const what = `${actor.name}: ${ask.key}`;
    if (reply.outcome === 'ok')
      findings.push({ kind: 'doubled', text: `${what} had ${String(result)} and now ${short(String(reply.result))}` });
    else findings.push(refusal(what, JSON.stringify(reply)));
  }
  return findings;
}

async function resumeState(client: BaseClient, actor: KnownActor, random: SeededRandom): Promise<Finding[]> {
  const from = client.frames.length;
  const since = random.pick(actor.states);
  client.send({
    type: 'state:sub',
    actor: actor.type,
    actorId: actor.id,
    since: { epoch: since.epoch, seq: since.seq },
  });
  const what = `${actor.name}: state since ${since.seq}`;
  let judgement: Judgement = 'wrong';
  const endMs = performance.now() + streamMsMax;
  do {
    const frames = framesOf(client, actor, from);
    const refused = refusalIn(frames, 'state:sub');
    if (refused !== undefined) return [refusal(what, JSON.stringify(refused))];
    judgement = follow(actor, since, frames);
    if (judgement === 'right') return [];
    await sleep(10);
  } while (performance.now() < endMs);
  const told = framesOf(client, actor, from).map((frame) => short(JSON.stringify(frame)));
  return [finding(judgement, `${what}: ${told.join(' ')}`)];
}

function follow(actor: KnownActor, since: Place & { state: RoomState }, frames: readonly Frame[]): Judgement {
  let { seq, epoch }: Place = since;
  let state: unknown = since.state;
  for (const frame of frames) {
    const place = frame as unknown as Place;
    if (frame.type === 'state:snapshot') state = frame['state'];
    else if (frame.type === 'state:patch') {
      if (place.epoch !== epoch || place.seq !== seq + 1) return 'wrong';
      try {
        state = patched(state, frame['patches'] as PatchOp[]);
      } catch {
        return 'wrong';
      }
    } else continue;
    ({ seq, epoch } = place);
  }
  return actor.judge(state);
}

async function resumeEvents(client: BaseClient, actor: KnownActor, random: SeededRandom): Promise<Finding[]> {
  const { epoch } = actor.eventPlaces[0]!;
  const first = actor.eventPlaces[0]!.seq;
  const last = Math.max(...actor.said.keys());
  const since = { epoch, seq: first + random.below(last - first + 1) };
  const from = client.frames.length;
  client.send({ type: 'event:sub', actor: actor.type, actorId: actor.id, since });
  const what = `${actor.name}: events since ${since.seq}`;
  const endMs = performance.now() + streamMsMax;
  for (;;) {
    const frames = framesOf(client, actor, from);
    const refused = refusalIn(frames, 'event:sub');
    if (refused !== undefined) return [refusal(what, JSON.stringify(refused))];
    const position = frames.find(({ type }) => type === 'event:position') as (Frame & Place) | undefined;
    if (position !== undefined) {
      const told = frames.filter(({ type, event }) => type === 'event' && event === 'said');
      const kind = judgeEvents(actor, position.seq, told);
      // A gap that is told is a kind of refusal; a place before the one that was asked for is none.
      if (kind === 'right' && position['gap'] === true) return [{ kind: 'refused', text: `${what}: a gap is told` }];
      if (kind === 'right' && position.seq === since.seq) return [];
      if (performance.now() > endMs)
        return [finding(kind === 'right' ? 'wrong' : kind, `${what}: ${told.length} from ${position.seq} on`)];
    } else if (performance.now() > endMs) return [{ kind: 'wrong', text: `${what}: no position` }];
    await sleep(10);
  }
}

/** Every event after the position that is known must be there, as it was, in order. */
function judgeEvents(actor: KnownActor, after: number, told: readonly Frame[]): Judgement {
  const known = [...actor.said].filter(([seq]) => seq > after).map(([seq, payload]) => JSON.stringify([seq, payload]));
  const heard = told.map(({ seq, payload }) => JSON.stringify([seq, payload]));
  const same = Math.min(known.length, heard.length);
  if (known.slice(0, same).join() !== heard.slice(0, same).join()) return 'wrong';
  if (heard.length > known.length) return 'doubled';
  return heard.length < known.length ? 'rolled-back' : 'right';
}

function framesOf(client: BaseClient, actor: KnownActor, from: number): Frame[] {
  return client.frames.slice(from).filter((frame) => {
    const about = frame.type === 'error' ? (frame['re'] as Frame | undefined) : frame;
    return about?.['actorId'] === actor.id && about['actor'] === actor.type;
  });
}

function refusalIn(frames: readonly Frame[], type: string): Frame | undefined {
  return frames.find((frame) => frame.type === 'error' && (frame['re'] as Frame).type === type);
}

function refusal(what: string, text: string): Finding {
  return refusalCodes.test(text)
    ? { kind: 'refused', text: `${what}: ${short(text)}` }
    : { kind: 'wrong', text: `${what} is refused with ${short(text)}` };
}

/** What PROMISES allows to say of something damaged. */
const refusalCodes = /"code":"(QUARANTINED|READ_ONLY|INTERNAL|KEY_REUSED|UNKNOWN)"/;

function finding(judgement: Judgement, text: string): Finding {
  return { kind: judgement === 'right' ? 'wrong' : judgement, text };
}

function short(text: string): string {
  return text.length > 160 ? `${text.slice(0, 120)}… (${text.length} characters)` : text;
}

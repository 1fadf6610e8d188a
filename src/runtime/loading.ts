/**
 * From disk to memory: the stored state, brought to the version and schema that the app declares, or the first state of
 * an actor that was never written. The schema sees every state that comes in, so that a new field's default just appears.
 */
import type { StandardSchemaV1 } from '../actor/schema.ts';
import { AppError } from '../protocol/errors.ts';
import type { Clock } from '../host/clock.ts';
import { hostRun } from '../host/host-run.ts';
import type { Keeper, LoadedActor } from '../storage/contract.ts';
import { issuesText } from './admission.ts';
import type { Activation } from './activation.ts';
import { Measure, ownCopy } from './plain-json.ts';

/**
 * Fills the activation.
 * @throws AppError QUARANTINED from the keeper; INTERNAL when the schema refuses the state or `migrate` throws
 */
export async function loadActivation(activation: Activation, keeper: Keeper, clock: Clock): Promise<void> {
  const { definition, address } = activation;
  const loaded = definition.durability === 'memory' ? undefined : await keeper.load(address);
  recall(activation, loaded, clock);
  if (loaded?.state === undefined) {
    activation.state = await conform(
      definition.state,
      {},
      `the state schema of actor ${address.type} must accept {}: give every field a default`,
    );
    activation.seq = loaded?.seq ?? 0;
    return;
  }
  activation.seq = loaded.seq;
  if (loaded.version > definition.version) {
    throw new AppError(
      'INTERNAL',
      `actor ${address.type} was stored at version ${loaded.version}, but this app declares version ${definition.version}: deploy the newer app`,
    );
  }
  const stored: unknown = JSON.parse(loaded.state);
  const older = loaded.version < definition.version;
  const current = older && definition.migrate !== undefined ? await definition.migrate(stored, loaded.version) : stored;
  activation.state = await conform(
    definition.state,
    current,
    older
      ? `the state of version ${loaded.version} does not fit version ${definition.version} of actor ${address.type}`
      : `the stored state does not fit the schema of actor ${address.type}: raise its version and give it a migrate function`,
  );
  // What the schema added or took away, such as a new field's default, is written with the next change, whole.
  activation.needsWholeWrite = older || activation.text() !== loaded.state;
}

/** Everything beside the state. */
function recall(activation: Activation, loaded: LoadedActor | undefined, clock: Clock): void {
  activation.outcomes.complete = loaded === undefined || !loaded.hasOutcomes;
  activation.numbered.complete = loaded === undefined || !loaded.hasNumbered;
  activation.epoch = epochOf(activation, loaded, clock);
  activation.eventSeq = loaded?.eventSeq ?? 0;
  activation.toldEventSeq = activation.eventSeq;
  activation.visitSeq = loaded?.visitSeq ?? 0;
  activation.events.begin(activation.eventSeq);
  activation.patches.begin(loaded?.seq ?? 0);
  for (const visitor of loaded?.visitors ?? []) activation.visitors.set(visitor.clientId, visitor);
  // Its patches were kept to the last: somebody was watching, and may come back.
  if (loaded !== undefined && loaded.seq > 0 && loaded.patchSeq === loaded.seq) activation.audience.noteWatched();
}

/** Without fsync the numbers may fall back when the host dies, and what lives in memory starts at 0 each time. */
function epochOf({ definition }: Activation, loaded: LoadedActor | undefined, clock: Clock): string {
  if (loaded === undefined) return clock.id();
  return definition.durability === 'durable' ? loaded.epoch : `${loaded.epoch.slice(0, 32)}-${hostRun()}`;
}

async function conform(schema: StandardSchemaV1, value: unknown, hint: string): Promise<unknown> {
  const result = await schema['~standard'].validate(value);
  if (result.issues !== undefined) throw new AppError('INTERNAL', `${hint}: ${issuesText(result.issues)}`);
  return ownCopy(result.value, '', new Measure());
}

/**
 * From disk to memory: the stored state, brought to the version that the app declares, or the first state of an actor
 * that was never written.
 */
import type { StandardSchemaV1 } from '../actor/schema.ts';
import { AppError } from '../protocol/errors.ts';
import type { Keeper } from '../storage/contract.ts';
import type { Activation } from './activation.ts';
import { refuseNonJson } from './state-engine.ts';

/**
 * Fills the activation.
 * @throws AppError QUARANTINED from the keeper; INTERNAL when the schema refuses the state or `migrate` throws
 */
export async function loadActivation(activation: Activation, keeper: Keeper): Promise<void> {
  const { definition, address } = activation;
  const loaded = definition.durability === 'memory' ? undefined : await keeper.load(address);
  activation.outcomes.complete = loaded === undefined || !loaded.hasOutcomes;
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
  if (loaded.version === definition.version) {
    activation.state = stored;
    activation.stateText = loaded.state;
    activation.stateChars = loaded.state.length;
    activation.needsFullWrite = false;
    return;
  }
  const migrated = definition.migrate === undefined ? stored : await definition.migrate(stored, loaded.version);
  activation.state = await conform(
    definition.state,
    migrated,
    `the state of version ${loaded.version} does not fit version ${definition.version} of actor ${address.type}`,
  );
}

async function conform(schema: StandardSchemaV1, value: unknown, hint: string): Promise<unknown> {
  const result = await schema['~standard'].validate(value);
  if (result.issues !== undefined) throw new AppError('INTERNAL', `${hint}: ${JSON.stringify(result.issues)}`);
  refuseNonJson(result.value, '');
  return result.value;
}

/**
 * What nodes ask each other while a slot moves, and what their answers look like. Other processes write them, so nothing is
 * believed before it was checked.
 *
 *   a person ── move {slot, to} ──▶ owner     begins it, answers at once · moveState ──▶ how far it is
 *              takeAbandoned {slot} ──▶ target
 *   owner ── prepare {slot, bytes, format} ──▶ target     may it come?
 *         ── receive {slot, epoch} · received · discard · serving ──▶ target
 */
import { idPattern, slots } from '../transport/nats-names.ts';
import type { MoveName } from './move-store.ts';

export const moveSteps = [
  'preparing',
  'draining',
  'packing',
  'shipping',
  'receiving',
  'handing over',
  'starting',
  'undoing',
  'done',
  'failed',
] as const;

export type MoveStep = (typeof moveSteps)[number];

/** How far the node's last move is. */
export interface MoveState {
  readonly slot: number;
  readonly to: string;
  readonly step: MoveStep;
  /** That leave with the slot, as far as it is known by now. */
  readonly tenants: number;
  readonly bytes: number;
  /** Of those on their way to the target. */
  readonly shippedBytes: number;
  /** Of a move that failed: one sentence. */
  readonly error: string | undefined;
  /** Of one that is done: where the former files are kept. */
  readonly keptIn: string | undefined;
  /** Something that should be known of one that is done. */
  readonly remark: string | undefined;
}

export interface MoveRequest {
  readonly slot: number;
  readonly to: string;
}

export interface PrepareRequest {
  readonly slot: number;
  /** Of all files. */
  readonly bytes: number;
  /** Version of the tenant files' format. */
  readonly format: number;
}

export type Received =
  | { readonly state: 'none' }
  | { readonly state: 'receiving'; readonly bytes: number }
  | { readonly state: 'ready' }
  | { readonly state: 'failed'; readonly message: string };

/** @throws Error for what is no such argument */
export function parseMove(argument: unknown): MoveRequest {
  const { to } = fieldsOf(argument);
  if (typeof to !== 'string' || !idPattern.test(to)) throw new Error('"to" must be the id of a node');
  return { slot: parseSlotNumber(argument), to };
}

/** @throws Error for what is no such argument */
export function parsePrepare(argument: unknown): PrepareRequest {
  const { bytes, format } = fieldsOf(argument);
  if (!isCount(bytes) || !isCount(format)) throw new Error('"bytes" and "format" must be whole numbers');
  return { slot: parseSlotNumber(argument), bytes, format };
}

/** @throws Error for what is no such argument */
export function parseMoveName(argument: unknown): MoveName {
  const { epoch } = fieldsOf(argument);
  if (!isCount(epoch)) throw new Error('"epoch" must be a whole number');
  return { slot: parseSlotNumber(argument), epoch };
}

/** @throws Error for what is no such argument */
export function parseSlotNumber(argument: unknown): number {
  const { slot } = fieldsOf(argument);
  if (!isCount(slot) || slot >= slots) throw new Error(`"slot" must be a whole number below ${slots}`);
  return slot;
}

/** `none` for what is no such answer. */
export function parseReceived(answer: unknown): Received {
  const { state, bytes, message } = fieldsOf(answer);
  if (state === 'receiving' && isCount(bytes)) return { state, bytes };
  if (state === 'ready') return { state };
  if (state === 'failed') return { state, message: typeof message === 'string' ? message : 'without a message' };
  return { state: 'none' };
}

/** Undefined for what is no such answer. */
export function parseMoveState(answer: unknown): MoveState | undefined {
  const fields = fieldsOf(answer);
  const { slot, to, tenants, bytes, shippedBytes } = fields;
  const step = moveSteps.find((known) => known === fields['step']);
  if (step === undefined || !isCount(slot) || typeof to !== 'string') return undefined;
  if (!isCount(tenants) || !isCount(bytes) || !isCount(shippedBytes)) return undefined;
  const text = (name: string): string | undefined => {
    const value = fields[name];
    return typeof value === 'string' ? value : undefined;
  };
  return {
    slot,
    to,
    step,
    tenants,
    bytes,
    shippedBytes,
    error: text('error'),
    keptIn: text('keptIn'),
    remark: text('remark'),
  };
}

export function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

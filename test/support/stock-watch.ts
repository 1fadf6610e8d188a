/**
 * The base set of the protocol as a judge of one connection: it hears what the client sends and what comes back, and
 * notes everything that a client which knows the base set alone was never promised. It changes nothing.
 *
 * Rules: `welcome` first and once · no frame type and no field outside of the base set (`server:shutdown` is told to
 * everybody) · one result for each rpc, and none for other ids · no patch before a snapshot · events and states of
 * subscribed actors only.
 */
export type Frame = Readonly<Record<string, unknown>>;

export interface Shape {
  readonly needed: readonly string[];
  readonly optional?: readonly string[];
}

const shapes: Readonly<Record<string, Shape>> = {
  welcome: { needed: ['clientId'] },
  'rpc:result': { needed: ['id'], optional: ['result', 'error'] },
  event: { needed: ['actor', 'actorId', 'event'], optional: ['payload'] },
  'state:snapshot': { needed: ['actor', 'actorId', 'state'] },
  'state:patch': { needed: ['actor', 'actorId', 'patches'] },
  'server:shutdown': { needed: ['reason', 'reconnectInMs'] },
};

export class StockWatch {
  readonly #report: (violation: string) => void;
  /** Results that are still due, by id as JSON text. */
  readonly #due = new Map<string, number>();
  readonly #answered = new Set<string>();
  readonly #subscribed = new Set<string>();
  readonly #snapshots = new Set<string>();
  #frames = 0;

  constructor(report: (violation: string) => void) {
    this.#report = report;
  }

  /** Ids of calls without a result so far. */
  get unanswered(): string[] {
    return [...this.#due.keys()];
  }

  sent(text: string): void {
    const frame = asObject(text);
    if (frame === undefined) return;
    const { type, id, actor, actorId } = frame;
    if (type === 'rpc') {
      const key = idOf(id);
      this.#due.set(key, (this.#due.get(key) ?? 0) + 1);
    }
    if (type === 'event:sub' || type === 'state:sub') this.#subscribed.add(`${type} ${addressOf(actor, actorId)}`);
  }

  /** The frame, when it is one. */
  received(data: unknown): Frame | undefined {
    this.#frames += 1;
    const frame = typeof data === 'string' ? asObject(data) : undefined;
    if (frame === undefined) {
      this.#report(`no JSON object in a text frame: ${String(data)}`);
      return undefined;
    }
    const violation = this.#violationOf(frame);
    if (violation !== undefined) this.#report(`${violation}: ${String(data)}`);
    return frame;
  }

  #violationOf(frame: Frame): string | undefined {
    const type = String(frame['type']);
    const shape = Object.hasOwn(shapes, type) ? shapes[type] : undefined;
    if (shape === undefined) return `the type ${type} is not of the base set`;
    const wrong = shapeProblem(frame, shape);
    if (wrong !== undefined) return wrong;
    if ((type === 'welcome') !== (this.#frames === 1)) return 'welcome must come first, and once';
    const address = addressOf(frame['actor'], frame['actorId']);
    switch (type) {
      case 'rpc:result':
        return this.#resultProblem(frame);
      case 'event':
        return this.#subscribed.has(`event:sub ${address}`) ? undefined : 'an event without a subscription';
      case 'state:snapshot':
        this.#snapshots.add(address);
        return this.#subscribed.has(`state:sub ${address}`) ? undefined : 'a snapshot without a subscription';
      case 'state:patch':
        if (!this.#snapshots.has(address)) return 'a patch before its snapshot';
        return patchesProblem(frame['patches']);
      default:
        return undefined;
    }
  }

  #resultProblem(frame: Frame): string | undefined {
    const { error } = frame;
    if (error !== undefined && (typeof error !== 'string' || error === ''))
      return 'error must be text that says something';
    if (error !== undefined && Object.hasOwn(frame, 'result')) return 'a result and an error';
    const key = idOf(frame['id']);
    const due = this.#due.get(key) ?? 0;
    if (due === 0) return this.#answered.has(key) ? 'a second result for one id' : 'a result for an unknown id';
    this.#answered.add(key);
    if (due === 1) this.#due.delete(key);
    else this.#due.set(key, due - 1);
    return undefined;
  }
}

function shapeProblem(frame: Frame, { needed, optional = [] }: Shape): string | undefined {
  const missing = needed.find((name) => !Object.hasOwn(frame, name));
  if (missing !== undefined) return `the field ${missing} is missing`;
  const known = ['type', ...needed, ...optional];
  const extra = Object.keys(frame).find((name) => !known.includes(name));
  return extra === undefined ? undefined : `the field ${extra} is not of the base set`;
}

/** One frame is one turn's change: never empty, and of the three operations with exactly their fields. */
function patchesProblem(patches: unknown): string | undefined {
  if (!Array.isArray(patches) || patches.length === 0) return 'patches must be a list that is not empty';
  for (const patch of patches as Frame[]) {
    const { op, path } = patch;
    if (op !== 'add' && op !== 'replace' && op !== 'remove')
      return `the operation ${String(op)} is not of the base set`;
    if (typeof path !== 'string') return 'path must be text';
    const fields = op === 'remove' ? 'op,path' : 'op,path,value';
    if (Object.keys(patch).sort().join() !== fields) return `${op} must have the fields ${fields}`;
  }
  return undefined;
}

function addressOf(actor: unknown, actorId: unknown): string {
  return JSON.stringify([actor, actorId]);
}

/** What cannot be told back is answered under null. */
function idOf(id: unknown): string {
  return JSON.stringify(typeof id === 'string' || typeof id === 'number' ? id : null);
}

function asObject(text: string): Frame | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Frame) : undefined;
  } catch {
    return undefined;
  }
}

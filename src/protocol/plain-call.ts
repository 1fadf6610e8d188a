/**
 * A shortcut for what nearly every frame is: a call as `JSON.stringify` writes it, its members in the protocol's order, its
 * names and keys of printable ASCII. It costs half of reading the frame anew.
 *
 *     {"type":"rpc","id":"7","actor":"chat","actorId":"lobby","method":"say","input":…,"key":"…","ack":6,"deadlineMs":5000}
 *     └─ head ────────────┘ └─ target: checked once, then known by its text ┘        └─ tail: any of it may be missing ──┘
 *
 * JSON can be read in one way only, so that text which consists of these parts and one whole value means what it seems to
 * mean, and what comes out is what `decodeFrame` would say. All that is spelled differently, or wrong, is left to that.
 */
import { actorProblem, methodProblem, optionsProblem, type Rpc, wholeMs } from './decode.ts';
import { callIdCharsMax } from './limits.ts';
import { parseJson } from './safe-json.ts';
import { parseTraceparent } from './trace.ts';

const head = '{"type":"rpc","id":"';
const inputHead = ',"input":';
/** Of a longer frame the input is nearly all; and what is remembered of a frame keeps all of its text. */
const charsMax = 1024;

// Nothing in these needs an escape, and nothing is one.
const plain = '[ !#-[\\]-~]';
const whole = '(0|[1-9]\\d{0,14})';
const idForm = new RegExp(`^${plain}{0,${callIdCharsMax}}$`);
const targetForm = new RegExp(`","actor":"(${plain}+)","actorId":"(${plain}+)","method":"(${plain}+)"`, 'y');
const tailForm = new RegExp(
  `(?:,"traceparent":"(${plain}*)")?(?:,"key":"(${plain}*)")?(?:,"ack":${whole})?(?:,"deadlineMs":${whole})?}$`,
);

/** What the calls of one connection have in common. */
export class PlainCalls {
  #actor = '';
  #actorId = '';
  #method = '';
  /** As the last call spelled them, from the quote that ends its id. */
  #target = '';
  /** False once the client was found to write its frames in another way. */
  #usual = true;

  /** Undefined when the frame must be read by `decodeFrame`. */
  decode(text: string, depthMax: number): Rpc | undefined {
    if (!this.#usual || text.length > charsMax || !isAt(text, 0, head)) return undefined;
    const idEnd = text.indexOf('"', head.length);
    const id = text.slice(head.length, idEnd);
    if (!idForm.test(id) || !this.#knows(text, idEnd)) return undefined;
    const targetEnd = idEnd + this.#target.length;
    const hasInput = isAt(text, targetEnd, inputHead);
    const inputAt = hasInput ? targetEnd + inputHead.length : targetEnd;
    // Most calls have an object for an input and nothing after it; nothing else ends so.
    const isShort = hasInput && text.endsWith('}}');
    const tail = isShort ? noTail : tailOf(text, inputAt);
    const inputEnd = isShort ? text.length - 1 : (tail?.at ?? 0);
    if (tail === undefined || (!hasInput && inputEnd > inputAt)) return undefined;
    const input = hasInput ? parseJson(text.slice(inputAt, inputEnd), depthMax - 1) : noInput;
    if (input.kind === 'syntax') this.#usual = false;
    if (input.kind !== 'value') return undefined;
    const { key, ack, deadlineMs, traceparent } = tail;
    const actor = this.#actor;
    const actorId = this.#actorId;
    const method = this.#method;
    return { kind: 'rpc', id, actor, actorId, method, input: input.value, key, ack, deadlineMs, traceparent };
  }

  /** Is the target at this place the last one, or one that is legal and is the last one from now on? */
  #knows(text: string, at: number): boolean {
    if (this.#target !== '' && isAt(text, at, this.#target)) return true;
    targetForm.lastIndex = at;
    const [target, actor, actorId, method] = targetForm.exec(text) ?? [];
    if (target === undefined || (actorProblem(actor, actorId) ?? methodProblem(method)) !== undefined) return false;
    this.#target = target;
    this.#actor = actor!;
    this.#actorId = actorId!;
    this.#method = method!;
    return true;
  }
}

interface Tail extends Pick<Rpc, 'key' | 'ack' | 'deadlineMs' | 'traceparent'> {
  /** Where it begins. */
  readonly at: number;
}

/** Undefined when the frame ends in another way, or with something that is refused. */
function tailOf(text: string, from: number): Tail | undefined {
  const found = tailForm.exec(text.slice(from));
  if (found === null) return undefined;
  const at = from + found.index;
  const [, traceparent, key, ack, deadlineMs] = found;
  const numbers = { ack: numberOf(ack), deadlineMs: numberOf(deadlineMs) };
  if (optionsProblem(key, numbers.ack, numbers.deadlineMs) !== undefined) return undefined;
  return {
    at,
    key: key ?? '',
    ack: numbers.ack ?? -1,
    deadlineMs: wholeMs(numbers.deadlineMs),
    traceparent: parseTraceparent(traceparent),
  };
}

const noTail: Tail = { at: 0, key: '', ack: -1, deadlineMs: 0, traceparent: '' };
const noInput = { kind: 'value', value: undefined } as const;

function numberOf(digits: string | undefined): number | undefined {
  return digits === undefined ? undefined : Number(digits);
}

/** As `startsWith`, which goes letter by letter and takes five times as long. */
function isAt(text: string, at: number, part: string): boolean {
  return text.slice(at, at + part.length) === part;
}

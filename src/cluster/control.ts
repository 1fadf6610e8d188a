/**
 * Questions to nodes, over NATS, and their answers. Two ways lead to the same handlers:
 *
 *   fermata.node.<id>       to this node: {"op": …, "argument": …} ──▶ {"ok": …} or {"error": {"message": …}}
 *   micro service `fermata` to any one node, as every NATS tool can ask it: status, slots, drain. What names another node
 *                           in its argument, {"node": <id>}, is passed on to that one.
 *
 * A question runs to its end even when nobody waits for the answer any more. Texts from outside are bounded and checked.
 */
import type { Msg, NatsConnection, NatsError, Service, ServiceMsg, Subscription } from 'nats';
import type { Logger } from '../host/log.ts';
import { idPattern, subjects } from '../transport/nats-names.ts';

/** By name of the operation. What it throws goes back as the answer, by its message. */
export type ControlHandlers = Readonly<Record<string, (argument: unknown) => Promise<unknown>>>;

export interface ControlOptions {
  readonly nc: NatsConnection;
  readonly id: string;
  /** Of Fermata. */
  readonly version: string;
  readonly handlers: ControlHandlers;
  readonly log: Logger;
}

/** Operations that the micro service offers, when there are handlers for them. */
const endpoints = ['status', 'slots', 'drain'];
const questionCharsMax = 64 * 1024;
const forwardMsMax = 60_000;

export class Control {
  readonly #options: ControlOptions;
  readonly #subscription: Subscription;
  #service: Service | undefined;

  static async open(options: ControlOptions): Promise<Control> {
    const control = new Control(options);
    await control.#offer();
    return control;
  }

  private constructor(options: ControlOptions) {
    this.#options = options;
    this.#subscription = options.nc.subscribe(subjects.node(options.id), {
      callback: (error, message) => {
        if (error === null) void this.#answer(message);
      },
    });
  }

  async close(): Promise<void> {
    this.#subscription.unsubscribe();
    await this.#service?.stop();
  }

  async #offer(): Promise<void> {
    const { nc, id, version, handlers } = this.#options;
    // A semver is the one form that the services API takes.
    const semver = /^\d+\.\d+\.\d+/.exec(version)?.[0] ?? '0.0.0';
    this.#service = await nc.services.add({
      name: 'fermata',
      version: semver,
      description: 'Control of Fermata nodes',
      metadata: { node: id },
      queue: 'fermata',
    });
    const group = this.#service.addGroup(subjects.service);
    for (const op of endpoints) {
      if (!Object.hasOwn(handlers, op)) continue;
      group.addEndpoint(op, (error, message) => {
        if (error === null) void this.#serve(op, message);
      });
    }
  }

  async #answer(message: Msg): Promise<void> {
    let answer: string;
    try {
      const question = parseObject(textOf(message));
      const { op, argument } = question;
      if (typeof op !== 'string') throw new Error('the question names no operation');
      answer = JSON.stringify({ ok: (await this.#handle(op, argument)) ?? null });
    } catch (error) {
      answer = JSON.stringify({ error: { message: error instanceof Error ? error.message : String(error) } });
    }
    this.#respond(() => message.respond(answer));
  }

  async #serve(op: string, message: ServiceMsg): Promise<void> {
    const { nc, id } = this.#options;
    try {
      const text = textOf(message);
      const argument = text === '' ? {} : parseObject(text);
      const { node = id } = argument;
      if (typeof node !== 'string' || !idPattern.test(node)) throw new Error('"node" must be the id of a node');
      if (op === 'drain' && argument['node'] === undefined) throw new Error('say which "node" to drain');
      const result =
        node === id ? await this.#handle(op, argument) : await askNode(nc, node, op, argument, forwardMsMax);
      this.#respond(() => message.respond(JSON.stringify(result ?? null)));
    } catch (error) {
      this.#respond(() => message.respondError(400, error instanceof Error ? error.message : String(error)));
    }
  }

  async #handle(op: string, argument: unknown): Promise<unknown> {
    const { handlers } = this.#options;
    const handler = Object.hasOwn(handlers, op) ? handlers[op] : undefined;
    if (handler === undefined) throw new Error(`there is no operation "${op.slice(0, 40)}"`);
    return await handler(argument);
  }

  /** An answer that cannot be sent (too long, or the connection was closed) is only logged. */
  #respond(send: () => boolean): void {
    try {
      send();
    } catch (error) {
      this.#options.log.warn({ err: error }, 'an answer to a control question could not be sent');
    }
  }
}

/** @throws Error of one line: the node's own, or that it does not answer */
export async function askNode(
  nc: NatsConnection,
  id: string,
  op: string,
  argument: unknown,
  timeoutMs: number,
): Promise<unknown> {
  if (!idPattern.test(id)) throw new Error(`"${id.slice(0, 40)}" is no id of a node`);
  let text: string;
  try {
    const reply = await nc.request(subjects.node(id), JSON.stringify({ op, argument }), { timeout: timeoutMs });
    text = reply.string();
  } catch (error) {
    const why =
      (error as NatsError).code === '503' ? 'is not connected to NATS' : `did not answer within ${timeoutMs} ms`;
    throw new Error(`node ${id} ${why} (${op})`, { cause: error });
  }
  const { ok, error } = parseObject(text);
  if (error === undefined) return ok;
  const { message } = Object(error) as { message?: unknown };
  throw new Error(typeof message === 'string' ? message : `node ${id} gave an error without a message (${op})`);
}

function textOf(message: { readonly data: Uint8Array; string(): string }): string {
  if (message.data.length > questionCharsMax) throw new Error(`a question may have ${questionCharsMax} bytes at most`);
  return message.string();
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error('the text is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('the JSON is no object');
  return value as Record<string, unknown>;
}

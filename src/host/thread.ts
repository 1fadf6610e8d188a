/**
 * Worker threads and how main talks with them: main asks by name, the worker answers once.
 *
 * Only life-cycle words travel here (start, drain, stop); calls have their own cables. A worker that dies rejects every
 * open question, and `died` settles, so that nobody waits for an answer that cannot come.
 */
import { parentPort, Worker, type Transferable } from 'node:worker_threads';

type Asked = { id: number; question: string; argument: unknown };
type Answer = { id: number; value?: unknown; error?: { kind: string; message: string; hint: string | undefined } };

/** What a worker's handler threw: its sentence, and what to do about it when the worker knew. */
export class ThreadError extends Error {
  override readonly name = 'ThreadError';
  /** Name of the class that was thrown. */
  readonly kind: string;
  readonly hint: string | undefined;

  constructor({ kind, message, hint }: { kind: string; message: string; hint: string | undefined }) {
    super(message);
    this.kind = kind;
    this.hint = hint;
  }
}

export class Thread {
  readonly name: string;
  /** Settles when the thread has ended, with its exit code and the error that ended it, if any. */
  readonly died: Promise<{ code: number; error: Error | undefined }>;
  readonly #worker: Worker;
  readonly #open = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #nextId = 1;
  #death: Error | undefined;

  /** `entry` is a file of `workers/`, named without its extension; `heapMbMax`: mebibytes after which it ends. */
  constructor(name: string, entry: string, data: unknown, transfer: readonly Transferable[], heapMbMax?: number) {
    this.name = name;
    // From a checkout the entries are .ts and run as they are; in a built package both are .js.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    this.#worker = new Worker(new URL(`../../workers/${entry}.${extension}`, import.meta.url), {
      workerData: data,
      transferList: [...transfer],
      name,
      ...(heapMbMax === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: heapMbMax } }),
      // In a checkout `import 'fermata'` means the sources; the built package has no such files and ignores it.
      execArgv: extension === 'ts' ? ['--conditions=fermata-source'] : [],
    });
    this.#worker.on('message', (answer: Answer) => this.#settle(answer));
    let failure: Error | undefined;
    this.#worker.on('error', (error: Error) => {
      failure = error;
    });
    this.died = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        this.#death = failure ?? new Error(`thread ${name} ended with code ${code}`);
        for (const { reject } of this.#open.values()) reject(this.#death);
        this.#open.clear();
        resolve({ code, error: failure });
      });
    });
  }

  get isAlive(): boolean {
    return this.#death === undefined;
  }

  /** Asks the worker and waits for its answer. @throws ThreadError for what the worker's handler threw; Error when it dies */
  ask<T = void>(question: string, argument?: unknown, transfer: readonly Transferable[] = []): Promise<T> {
    if (this.#death !== undefined) return Promise.reject(this.#death);
    const id = this.#nextId++;
    return new Promise<T>((resolve, reject) => {
      this.#open.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#worker.postMessage({ id, question, argument }, transfer);
    });
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(answer: Answer): void {
    const open = this.#open.get(answer.id);
    this.#open.delete(answer.id);
    if (answer.error === undefined) open?.resolve(answer.value);
    else open?.reject(new ThreadError(answer.error));
  }
}

/** In a worker: answers main's questions by name until the thread ends. */
export function answerMain(answers: Readonly<Record<string, (argument: unknown) => unknown>>): void {
  const port = parentPort;
  if (port === null) throw new Error('answerMain() belongs in a worker thread');
  const answer = async (asked: Asked): Promise<void> => {
    const reply: Answer = { id: asked.id };
    try {
      const handler = answers[asked.question];
      if (handler === undefined) throw new Error(`no answer to "${asked.question}" in this thread`);
      reply.value = await handler(asked.argument);
    } catch (error) {
      reply.error = told(error);
    }
    port.postMessage(reply);
  };
  port.on('message', (asked: Asked) => void answer(asked));
}

function told(error: unknown): NonNullable<Answer['error']> {
  if (!(error instanceof Error)) return { kind: 'Error', message: String(error), hint: undefined };
  const hint = 'hint' in error && typeof error.hint === 'string' ? error.hint : undefined;
  return { kind: error.name, message: error.message, hint };
}

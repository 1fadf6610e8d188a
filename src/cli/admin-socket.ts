/**
 * The server's side of the admin socket: commands that need the running server (a backup, a tenant put in place) ask it
 * here, and nobody else can, because the socket is its owner's alone (0600).
 *
 *     POST /<name>, body JSON          asked by ask-server.ts
 *     {"tenant":"acme",…}              any number of progress lines
 *     {"done":…}                       the last line, or {"error":{"message","hint"?}}
 *
 * Invariants: only the holder of the data directory's lock starts it, so a socket file that lies there already is a dead
 * process's · an answer ends with exactly one last line, unless who asked is gone · then the handler is told by its signal ·
 * progress lines that nobody reads are dropped, never gathered.
 */
import { chmodSync, lstatSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { adminSocketPath } from './admin-path.ts';

/** Answers one request. What it throws is told to who asked, with its `hint` when it has one. */
export type AdminHandler = (
  body: unknown,
  progress: (line: object) => void,
  /** Aborts when nobody waits for the answer any more. */
  gone: AbortSignal,
) => Promise<unknown>;

const bodyBytesMax = 64 * 1024;
const requestMsMax = 10_000;

/** Settles when it listens, with the function that closes it and removes its file. @throws Error when it cannot listen */
export async function startAdminSocket(
  dataDir: string,
  handlers: Readonly<Record<string, AdminHandler>>,
): Promise<() => void> {
  const path = adminSocketPath(dataDir);
  removeStale(path);
  const server = createServer({ requestTimeout: requestMsMax }, (request, response) => {
    void answer(request, response, handlers);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(new Error(`the admin socket ${path} cannot be opened: ${error.message}`, { cause: error }));
    });
    server.listen(path, resolve);
    // Bound by now, and nobody was let in yet: that takes a turn of the event loop.
    if (server.listening) chmodSync(path, 0o600);
  });
  server.unref();
  return () => {
    server.closeAllConnections();
    server.close();
    rmSync(path, { force: true });
  };
}

/** What a killed process left; another thing of that name is not ours to remove. */
function removeStale(path: string): void {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket()) throw new Error(`the admin socket cannot be opened: ${path} is something else; remove it`);
  try {
    rmSync(path);
  } catch (error) {
    throw new Error(`the admin socket ${path} is another user's: remove it`, { cause: error });
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  handlers: Readonly<Record<string, AdminHandler>>,
): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  // A socket that breaks is told by `close`; without a listener the error would end the process.
  response.on('error', () => {});
  const line = (value: object): void => void response.write(`${JSON.stringify(value)}\n`);
  try {
    const name = (request.url ?? '').slice(1);
    const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined;
    if (handler === undefined) throw new Refused(404, `this server has no "${name}"`, 'Are both of one version?');
    if (request.method !== 'POST') throw new Refused(405, 'the admin socket takes POST');
    const body = await readBody(request);
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    const progress = (update: object): void => {
      if (!response.writableNeedDrain && !gone.signal.aborted) line(update);
    };
    const done = await handler(body, progress, gone.signal);
    line({ done: done ?? null });
  } catch (error) {
    if (error instanceof Refused) response.writeHead(error.status, { 'content-type': 'application/x-ndjson' });
    line({ error: told(error) });
  }
  response.end();
}

/** A request that reaches no handler. */
class Refused extends Error {
  readonly status: number;
  readonly hint: string | undefined;

  constructor(status: number, message: string, hint?: string) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Not `for await`: leaving that early destroys the request, and the answer with it.
  await new Promise<void>((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= bodyBytesMax) chunks.push(chunk);
      else reject(new Refused(413, `the request is larger than ${bodyBytesMax} bytes`));
    });
    request.on('end', resolve);
    request.on('error', reject);
    request.on('close', () => reject(new Refused(400, 'the request was cut off')));
  });
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    throw new Refused(400, 'the request is no JSON');
  }
}

function told(error: unknown): { message: string; hint?: string } {
  const message = error instanceof Error ? error.message : String(error);
  const hint = error instanceof Error && 'hint' in error && typeof error.hint === 'string' ? error.hint : undefined;
  return hint === undefined ? { message } : { message, hint };
}

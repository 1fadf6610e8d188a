/**
 * Asks the running server of a data directory over its admin socket (see admin-socket.ts for the wire). Whoever stops
 * waiting, also by Ctrl-C, ends the work there.
 */
import { lstatSync, realpathSync, statSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { dirname } from 'node:path';
import { adminSocketPath } from './admin-path.ts';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-codes.ts';

/** A line of an answer ends it when it holds one of these. */
interface Line {
  readonly done?: unknown;
  readonly error?: { readonly message: string; readonly hint?: string };
}

/** Undefined when no server runs there. @throws CommandError with what the server says is wrong */
export async function askServer(
  dataDir: string,
  name: string,
  body: unknown,
  onProgress: (line: object) => void,
): Promise<{ readonly done: unknown } | undefined> {
  const path = socketOf(dataDir);
  if (path === undefined) return undefined;
  const response = await post(path, name, JSON.stringify(body));
  return response === undefined ? undefined : await readLines(response, onProgress);
}

/** Undefined when there is none, or one that is somebody else's: anyone may put a file into the temporary directory. */
function socketOf(dataDir: string): string | undefined {
  if (statSync(dataDir, { throwIfNoEntry: false }) === undefined) return undefined;
  const path = adminSocketPath(dataDir);
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isSocket() !== true) return undefined;
  if (dirname(path) === realpathSync(dataDir)) return path;
  if (found.uid === statSync(dataDir).uid || found.uid === 0) return path;
  throw failed(
    `the admin socket ${path} belongs to another user than the data directory ${dataDir}`,
    'Nothing was sent to it. Run the server as the owner of its data directory, or remove that file.',
  );
}

/** Undefined when nobody listens: the file is a dead process's, or was removed just now. */
async function post(path: string, name: string, text: string): Promise<IncomingMessage | undefined> {
  return await new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const asked = request({ socketPath: path, method: 'POST', path: `/${name}`, headers, agent: false }, resolve);
    asked.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') resolve(undefined);
      else if (error.code === 'EACCES')
        reject(failed(`the admin socket ${path} may not be used by this user`, "Run it as the server's user.", error));
      else reject(failed(`the server cannot be asked over ${path}: ${error.message}`, undefined, error));
    });
    asked.end(text);
  });
}

async function readLines(
  response: IncomingMessage,
  onProgress: (line: object) => void,
): Promise<{ readonly done: unknown }> {
  let rest = '';
  try {
    response.setEncoding('utf8');
    for await (const chunk of response) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      for (const text of lines) {
        const line = JSON.parse(text) as Line;
        if (line.error !== undefined) throw failed(line.error.message, line.error.hint);
        if ('done' in line) return { done: line.done };
        onProgress(line);
      }
    }
  } catch (error) {
    // A connection that breaks says ECONNRESET; an error of the caller's own stays what it is.
    if (!(error instanceof Error && 'code' in error && error.code === 'ECONNRESET')) throw error;
  }
  throw failed('the server ended before it had answered', 'What it was asked may be done or not; its log says why.');
}

function failed(message: string, hint?: string, cause?: unknown): CommandError {
  return new CommandError(message, { exitCode: exitCodes.failed, cause, ...(hint === undefined ? {} : { hint }) });
}

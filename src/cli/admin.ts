/**
 * The admin port: health, readiness and metrics, apart from the port that clients reach. Served by main, so that it answers
 * even when every gateway is busy. Nothing here names a tenant, an actor or a user.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { Phase } from '../host/phase.ts';
import type { Metrics } from './metrics.ts';

export interface AdminParts {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly phase: Phase;
  /** Added to `/health`. */
  readonly details: () => object;
  readonly metrics: Metrics;
}

/** Settles when it listens, with the function that closes it. @throws Error when the address is taken or not of this machine */
export async function startAdmin({ host, port, phase, details, metrics }: AdminParts): Promise<() => void> {
  const routes: Record<string, (response: ServerResponse) => void> = {
    '/health': (response) =>
      answer(response, phase.healthy ? 200 : 503, { phase: phase.name, health: phase.health, ...details() }),
    '/ready': (response) => answer(response, phase.takesTraffic ? 200 : 503, { phase: phase.name }),
    '/metrics': (response) => void answerMetrics(response, metrics),
  };
  const known = new Map(Object.entries(routes));
  const server = createServer((request, response) => {
    const route = known.get(request.url?.split('?')[0] ?? '');
    if (route === undefined) return answer(response, 404, notHere);
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, readOnly);
    route(response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'EADDRINUSE'
          ? new Error(
              `the admin port ${host}:${port} is in use: stop what holds it, or choose another with --admin-port`,
            )
          : error,
      );
    });
    server.listen(port, host, resolve);
  });
  server.unref();
  return () => {
    server.closeAllConnections();
    server.close();
  };
}

const notHere = { error: { code: 'UNKNOWN_ROUTE', message: 'The admin port has /health, /ready and /metrics' } };
const readOnly = { error: { code: 'MALFORMED', message: 'The admin port answers GET and HEAD' } };

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(body));
}

async function answerMetrics(response: ServerResponse, metrics: Metrics): Promise<void> {
  try {
    const text = await metrics.text();
    response.writeHead(200, { 'content-type': metrics.contentType, 'cache-control': 'no-store' });
    response.end(text);
  } catch (error) {
    // Whoever looks at a server must not be able to end it.
    const message = `The metrics cannot be gathered: ${error instanceof Error ? error.message : String(error)}`;
    answer(response, 500, { error: { code: 'INTERNAL', message } });
  }
}

/**
 * The admin port: health and readiness on loopback, apart from the port that clients reach. Served by main, so that it
 * answers even when every gateway is busy.
 */
import { createServer } from 'node:http';
import type { Phase } from '../host/phase.ts';

/** Settles when it listens, with the function that closes it. `details` are added to `/health`. @throws Error when the port is taken */
export async function startAdmin(port: number, phase: Phase, details: () => object): Promise<() => void> {
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0];
    const known = path === '/health' || path === '/ready';
    const ready = phase.name === 'ready' && !phase.impaired;
    response.writeHead(known ? (path === '/ready' && !ready ? 503 : 200) : 404, {
      'content-type': 'application/json',
      'cache-control': 'no-store',
    });
    response.end(
      JSON.stringify(
        known
          ? { phase: phase.name, ...(path === '/health' ? details() : {}) }
          : { error: { code: 'UNKNOWN_ROUTE', message: 'The admin port has /health and /ready' } },
      ),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'EADDRINUSE'
          ? new Error(
              `the admin port 127.0.0.1:${port} is in use: stop what holds it, or choose another with --admin-port`,
            )
          : error,
      );
    });
    server.listen(port, '127.0.0.1', resolve);
  });
  server.unref();
  return () => {
    server.closeAllConnections();
    server.close();
  };
}

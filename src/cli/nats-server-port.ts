/**
 * Where a managed nats-server listens: on the port that was asked for, or on a free one when somebody has that.
 *
 * The port is tried and let go, so another process may take it before nats-server does; whoever starts it tries again.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { CommandError } from './command-error.ts';
import { exitCodes } from './exit-codes.ts';

/** 0 asks for a free one. @throws CommandError when the host cannot be listened on at all */
export async function availablePort(host: string, port: number): Promise<number> {
  try {
    return (await tryPort(host, port)) ?? (await tryPort(host, 0))!;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new CommandError(`nats-server cannot listen on ${host}: ${message}`, {
      exitCode: exitCodes.portInUse,
      hint: 'Choose an address of this machine and a port that this user may take.',
      cause: error,
    });
  }
}

/** Undefined: somebody has it. */
async function tryPort(host: string, port: number): Promise<number | undefined> {
  const server = createServer();
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, 'listening');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') return undefined;
    throw error;
  }
  const { port: taken } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return taken;
}

/** A process that has a managed nats-server, prints its process id, and waits to be killed. Argument: data directory. */
import { createLog } from '../../src/host/log.ts';
import { ManagedNats } from '../../src/cli/nats-server.ts';

const log = createLog({ level: 'silent', pretty: false }, 'main');
const config = { bin: 'nats-server', host: '127.0.0.1', port: 0, leafRemotes: [], domain: undefined };
const nats = await ManagedNats.start({ config, dataDir: process.argv[2]!, log });
process.stdout.write(`${JSON.stringify({ pid: nats.health.pid, port: nats.port })}\n`);

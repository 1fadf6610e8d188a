/** Fermata over NATS for a measurement: a managed nats-server, one runtime, one gateway, each a process of its own. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ManagedNats } from '../src/cli/nats-server.ts';
import { createLog } from '../src/host/log.ts';
import { ServerProcess } from './server-process.ts';

const root = join(import.meta.dirname, '..');
const command = join(root, 'src/cli/main.ts');
const limits = ['--limit', 'messagesPerSecond=0'];
const stopMsMax = 3000;

export class NatsCluster {
  /** Where clients connect. */
  readonly gateway: ServerProcess;
  readonly #runtime: ServerProcess;
  readonly #nats: ManagedNats;

  static async start(dataDir: string, env: Readonly<Record<string, string>>): Promise<NatsCluster> {
    const log = createLog({ level: 'warn', pretty: false }, 'nats');
    const server = { bin: 'nats-server', host: '127.0.0.1', port: 4222, leafRemotes: [], domain: undefined };
    mkdirSync(dataDir, { recursive: true });
    const nats = await ManagedNats.start({ config: server, dataDir, log });
    const { servers, user = '', password = '' } = nats.nats;
    const joined = { ...env, NATS_URL: servers.join(','), NATS_USER: user, NATS_PASSWORD: password };
    const app = join(root, 'bench/apps/bench.ts');
    const runtime = await ServerProcess.start({
      name: 'runtime',
      args: [command, 'runtime', app, '--data-dir', join(dataDir, 'runtime'), ...limits],
      env: joined,
      channel: false,
      address: false,
    });
    const gateway = await ServerProcess.start({
      name: 'gateway',
      args: [command, 'gateway', '--port', '0', '--data-dir', join(dataDir, 'gateway'), ...limits],
      env: joined,
      channel: false,
    });
    return new NatsCluster(nats, runtime, gateway);
  }

  private constructor(nats: ManagedNats, runtime: ServerProcess, gateway: ServerProcess) {
    this.#nats = nats;
    this.#runtime = runtime;
    this.gateway = gateway;
  }

  async stop(): Promise<void> {
    await this.gateway.stop();
    await this.#runtime.stop();
    await this.#nats.stop(stopMsMax);
  }
}

/**
 * Several processes joined by a real nats-server: gateways and runtimes, each the shipped command with a data directory of its
 * own. Each can be stopped, killed, frozen, cut off from NATS, and started again where it was.
 *
 *   clients ── gateway ×G ── nats-server ── runtime ×R          a valve stands before NATS for who is to be cut off
 *
 * Whoever starts a cluster ends it, also when the test fails.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import { parseSlot, type SlotRecord, slotKey } from '../../src/cluster/slot-records.ts';
import { WebSocket } from 'ws';
import { slotOf } from '../../src/protocol/placement.ts';
import { buckets, slots } from '../../src/transport/nats-names.ts';
import { send } from './http.ts';
import { NatsServer } from './nats-server.ts';
import { type Exit, ServerProcess, type Side } from './server.ts';
import { freePort } from './stage.ts';
import { Valve } from './valve.ts';
import { eventually } from './wait.ts';

export interface ClusterOptions {
  /** A file of `test/support/apps` without its extension. */
  readonly app: string;
  /** 2 by default. */
  readonly gateways?: number;
  readonly runtimes?: number;
  readonly gatewayArgs?: readonly string[];
  readonly runtimeArgs?: readonly string[];
  /** Gets the data directories, and keeps them; by default they are temporary. */
  readonly dataDir?: string;
}

/** Tests call faster than people; everything else is as shipped. */
const limits = ['--limit', 'messagesPerSecond=0', '--limit', 'messagesBurst=0'];
const readyMsMax = 60_000;

export class Cluster {
  readonly gateways: Member[] = [];
  readonly runtimes: Member[] = [];
  readonly nats: NatsServer;
  /** The test's own connection, straight to the server. */
  readonly nc: NatsConnection;
  readonly #options: ClusterOptions;
  readonly #directories: string[] = [];
  /** Of the gateway that got the last connection. */
  #turn = 0;

  /** Settles when everybody is ready. */
  static async start(options: ClusterOptions): Promise<Cluster> {
    const nats = await NatsServer.start();
    const nc = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 200 });
    const cluster = new Cluster(options, nats, nc);
    try {
      const { gateways = 2, runtimes = 2 } = options;
      // All at once, so that runtimes see each other and share the slots.
      await Promise.all([
        ...Array.from({ length: runtimes }, () => cluster.runtime()),
        ...Array.from({ length: gateways }, () => cluster.gateway()),
      ]);
      await cluster.#shareOut();
    } catch (error) {
      await cluster.end();
      throw error;
    }
    return cluster;
  }

  private constructor(options: ClusterOptions, nats: NatsServer, nc: NatsConnection) {
    this.#options = options;
    this.nats = nats;
    this.nc = nc;
  }

  get members(): readonly Member[] {
    return [...this.gateways, ...this.runtimes];
  }

  /** One more, ready. */
  async gateway(): Promise<Member> {
    return await this.#add('gateway', this.gateways, this.#options.gatewayArgs);
  }

  /** One more, ready; `dataDir` when it is to find data there. */
  async runtime(dataDir?: string): Promise<Member> {
    return await this.#add('runtime', this.runtimes, this.#options.runtimeArgs, dataDir);
  }

  /** What the bucket says of a slot. */
  async slot(slot: number): Promise<SlotRecord | undefined> {
    const kv = await this.nc.jetstream().views.kv(buckets.slots, { bindOnly: true });
    return parseSlot((await kv.get(slotKey(slot)))?.string() ?? '');
  }

  /** Tenants whose slots runtimes own in turn: the first one's, the second one's, the first one's, … Each of a slot of its own. */
  async tenants(count: number, runtimes: readonly Member[] = this.runtimes): Promise<string[]> {
    const nodes = runtimes.map((runtime) => runtime.node);
    const records = await Promise.all(Array.from({ length: slots }, (_, slot) => this.slot(slot)));
    const taken = new Set<number>();
    const tenants: string[] = [];
    for (let n = 0; tenants.length < count; n += 1) {
      if (n > 100_000) throw new Error('runtimes own too few slots');
      const slot = slotOf(`t${n}`, slots);
      if (taken.has(slot) || records[slot]?.owner !== nodes[tenants.length % nodes.length]) continue;
      taken.add(slot);
      tenants.push(`t${n}`);
    }
    return tenants;
  }

  /** For the project's client: what a balancer would do, each new connection goes to the next gateway that is ready. */
  get WebSocket() {
    const next = (): Member => this.#nextGateway();
    return class BalancedSocket extends WebSocket {
      constructor(_url: string, protocols: string[]) {
        super(`${next().address.replace(/^http/, 'ws')}/ws`, protocols);
      }
    };
  }

  directory(): string {
    const { dataDir } = this.#options;
    const directory = mkdtempSync(join(dataDir ?? tmpdir(), 'fermata-cluster-'));
    if (dataDir === undefined) this.#directories.push(directory);
    return directory;
  }

  async end(): Promise<void> {
    await Promise.all(this.members.map((member) => member.end()));
    await this.nc.close();
    await this.nats.close();
    for (const directory of this.#directories.splice(0)) rmSync(directory, { recursive: true, force: true });
  }

  /** Where one of them came up much earlier, it has taken all slots: then every other one is given away, as long as nothing is in it. */
  async #shareOut(): Promise<void> {
    const { runtimes } = this;
    const records = await Promise.all(Array.from({ length: slots }, (_, slot) => this.slot(slot)));
    const shares = runtimes.map(({ node }) => records.filter((record) => record?.owner === node).length);
    if (Math.min(...shares) >= slots / runtimes.length / 2) return;
    const kv = await this.nc.jetstream().views.kv(buckets.slots, { bindOnly: true });
    await Promise.all(
      records.map(async (record, slot) => {
        const owner = runtimes[slot % runtimes.length]!.node;
        if (record === undefined || record.owner === owner) return;
        await kv.put(slotKey(slot), JSON.stringify({ ...record, owner, epoch: record.epoch + 1 }));
      }),
    );
  }

  #nextGateway(): Member {
    for (let tries = 0; tries < this.gateways.length; tries += 1) {
      this.#turn = (this.#turn + 1) % this.gateways.length;
      if (this.gateways[this.#turn]!.isServing) break;
    }
    return this.gateways[this.#turn]!;
  }

  async #add(side: Side, among: Member[], args: readonly string[] = [], dataDir = this.directory()): Promise<Member> {
    const port = await freePort();
    const valve = await Valve.open(this.nats.port);
    const member = new Member({ side, app: this.#options.app, dataDir, port, valve, args: [...limits, ...args] });
    among.push(member);
    await member.start();
    return member;
  }
}

interface MemberParts {
  readonly side: Side;
  readonly app: string;
  readonly dataDir: string;
  readonly port: string;
  readonly valve: Valve;
  readonly args: readonly string[];
}

/** One process of a cluster, and who takes its place when it is started again. */
export class Member {
  readonly side: Side;
  readonly dataDir: string;
  /** Between it and NATS. */
  readonly valve: Valve;
  readonly #parts: MemberParts;
  #process: ServerProcess | undefined;
  #serving = false;

  constructor(parts: MemberParts) {
    this.#parts = parts;
    this.side = parts.side;
    this.dataDir = parts.dataDir;
    this.valve = parts.valve;
  }

  get process(): ServerProcess {
    return this.#process!;
  }

  /** Of a gateway. */
  get address(): string {
    return `http://127.0.0.1:${this.#parts.port}`;
  }

  /** Ready, and not asked to stop. */
  get isServing(): boolean {
    return this.#serving;
  }

  /** Settles when it is ready. */
  async start(): Promise<void> {
    await this.launch().logged(({ msg }) => msg === 'ready', readyMsMax);
    this.#serving = true;
  }

  launch(): ServerProcess {
    const { side, app, dataDir, port, valve, args } = this.#parts;
    const nats = ['--nats-url', `nats://127.0.0.1:${valve.port}`];
    this.#process = new ServerProcess({ side, app, dataDir, port, args: [...nats, ...args] });
    return this.#process;
  }

  async term(): Promise<Exit> {
    this.#serving = false;
    return await this.process.term();
  }

  async kill9(): Promise<Exit> {
    this.#serving = false;
    return await this.process.kill9();
  }

  freeze(): void {
    this.process.signal('SIGSTOP');
  }

  thaw(): void {
    this.process.signal('SIGCONT');
  }

  /** SIGTERM, and the next one is ready. Returns how the former ended. */
  async restart(): Promise<Exit> {
    const exit = await this.term();
    await this.start();
    return exit;
  }

  /** Name of a runtime that was started once. */
  get node(): string {
    return readFileSync(join(this.dataDir, 'node-id'), 'utf8').trim();
  }

  /** What `/health` or `/ready` of a gateway answers. */
  async status(path: '/health' | '/ready'): Promise<number> {
    return (await send(this.address, 'GET', path)).status;
  }

  async becomes(path: '/health' | '/ready', status: number, msMax = 15_000): Promise<void> {
    await eventually(`${path} says ${status}`, async () => (await this.status(path)) === status, msMax);
  }

  /** Bytes of memory that it has now, in mebibytes. */
  get residentMb(): number {
    const [, kb = '0'] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.process.pid}/status`, 'utf8')) ?? [];
    return Number(kb) / 1024;
  }

  async end(): Promise<void> {
    // A frozen process dies of SIGKILL all the same.
    await this.#process?.kill9();
    await this.valve.close();
  }
}

/**
 * What a message through JetStream costs, and what it saves that it carries many calls: frames of 1, 16 and 64 calls from a
 * gateway's link to a runtime's, which answers at once, with the bare echo of the same minutes as the yardstick.
 *
 *     node bench/frames.ts [--seconds 3] [--rounds 3]
 *
 * Both ends are the ones that Fermata uses, in a thread each; a managed nats-server stores every frame.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ManagedNats } from '../src/cli/nats-server.ts';
import { systemClock as clock } from '../src/host/clock.ts';
import { createLog } from '../src/host/log.ts';
import { Thread } from '../src/host/thread.ts';
import { decodeOutbound, InboundFrame } from '../src/protocol/envelope.ts';
import { connectNats } from '../src/transport/nats-connection.ts';
import { type NatsGatewayLink, natsGatewayLink } from '../src/transport/nats-gateway-link.ts';
import { ensureStreams } from '../src/transport/nats-streams.ts';
import { callJob, type CallVariant } from './call-job.ts';
import { makeFolder, removeFolder } from './children.ts';
import { median } from './figures.ts';
import { Histogram } from './histogram.ts';
import { runLoad } from './load-process.ts';
import { describeMachine } from './machine.ts';
import { Servers } from './servers.ts';

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '3' },
    'data-root': { type: 'string', default: join(import.meta.dirname, '../data') },
  },
});
const measureMs = Number(flags.seconds) * 1000;
const warmUpMs = 500;
const slot = 7;
const sizes = [1, 16, 64];
const sizeMax = 64;
/** Frames under way at a time: enough that nobody waits for a round trip. */
const framesMax = 32;
const streams = { replicas: 1 };
const input = { amount: 2 };

/** Frames of `size` calls, so many under way; another one leaves when all calls of one are answered. */
class Load {
  readonly #link: NatsGatewayLink;
  readonly #left = new Map<number, number>();
  #call = 0;
  #answered = 0;
  #ended: (frame: number) => void = () => {};

  constructor(link: NatsGatewayLink) {
    this.#link = link;
    link.onFrame((records) => decodeOutbound(records, (_, call) => this.#answer(call)));
  }

  /** @returns calls answered per second */
  async run(size: number, frames: number, latencies?: Histogram): Promise<number> {
    const sentMs = new Map<number, number>();
    const endMs = performance.now() + warmUpMs + measureMs;
    let begunMs = 0;
    let from = 0;
    const send = (): void => {
      const first = this.#call;
      sentMs.set(Math.floor(first / sizeMax), performance.now());
      const frame = new InboundFrame();
      for (let n = 0; n < size; n += 1) frame.addCall(1, first + n, 'counter', 'c1', 'add', '', -1, 0, input);
      this.#left.set(Math.floor(first / sizeMax), size);
      this.#call += sizeMax;
      this.#link.send(slot, frame.take()!);
    };
    await new Promise<void>((resolve) => {
      this.#ended = (frame) => {
        const nowMs = performance.now();
        latencies?.record(nowMs - sentMs.get(frame)!);
        sentMs.delete(frame);
        if (begunMs === 0 && nowMs > endMs - measureMs) {
          begunMs = nowMs;
          from = this.#answered;
        }
        if (nowMs < endMs) send();
        else if (this.#left.size === 0) resolve();
      };
      for (let n = 0; n < frames; n += 1) send();
    });
    return ((this.#answered - from) * 1000) / (performance.now() - begunMs);
  }

  #answer(call: number): void {
    this.#answered += 1;
    const frame = Math.floor(call / sizeMax);
    const left = this.#left.get(frame)! - 1;
    if (left > 0) {
      this.#left.set(frame, left);
    } else {
      this.#left.delete(frame);
      this.#ended(frame);
    }
  }
}

const folder = makeFolder(flags['data-root'], 'frames-');
const log = createLog({ level: 'warn', pretty: false }, 'bench');
const config = { bin: 'nats-server', host: '127.0.0.1', port: 4222, leafRemotes: [], domain: undefined };
const nats = await ManagedNats.start({ config, dataDir: folder, log });
const runtime = new Thread('runtime', '../bench/frames-runtime', { nats: nats.nats, runtime: newKey() }, []);
const servers = new Servers(flags['data-root']);
const alone: number[] = [];
const echoes: number[] = [];
const rates = new Map(sizes.map((size) => [size, [] as number[]]));
const latency = new Histogram();
try {
  await servers.start(['echo']);
  const nc = await connectNats(nats.nats, { name: 'bench-gateway', log });
  await ensureStreams(nc, streams);
  const link = natsGatewayLink(nc, { gateway: newKey(), log, clock, streams });
  link.onTurnover((of) => link.send(of, '[[7,0,[]]]'));
  const load = new Load(link);
  await runtime.ask('take', slot);
  for (let round = 1; round <= Number(flags.rounds); round += 1) {
    echoes.push((await runLoad(await callJob(servers, echo(), { warmUpMs, measureMs }))).perSecond);
    alone.push(await load.run(1, 1, latency));
    for (const size of sizes) rates.get(size)!.push(await load.run(size, framesMax));
    process.stderr.write(`round ${round}\n`);
  }
  link.close();
  await nc.close();
} finally {
  await runtime.terminate();
  await servers.stop();
  await nats.stop(3000);
  removeFolder(folder);
}
report();

function echo(): CallVariant {
  const about = { actor: 'counter', method: 'add', input, counts: 2, tenants: 1, keys: 'none' } as const;
  return { ...about, name: 'echo', server: 'echo', connections: 50, pipelined: 16 };
}

function newKey(): string {
  return randomBytes(10).toString('hex');
}

function report(): void {
  const { cpu, cores, date, commit, dirty } = describeMachine(flags['data-root']);
  const bare = median(echoes);
  const rows = sizes.map((size) => {
    const rate = median(rates.get(size)!);
    return `| ${size} | ${Math.round(rate).toLocaleString('en-US')} | ${(rate / bare).toFixed(3)} |`;
  });
  const { p50, p99 } = latency.summary();
  const lines = [
    `${cpu}, ${cores} cores; ${date.slice(0, 16)}, commit ${commit}${dirty ? ' with changes' : ''}; medians of ${flags.rounds} rounds`,
    '',
    '| calls per frame | calls/s | share of echo |',
    '| --- | --- | --- |',
    ...rows,
    '',
    `One call at a time: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms, ${Math.round(median(alone))} calls/s.`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

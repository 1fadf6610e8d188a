/**
 * Load of calls: C connections, P calls in flight on each, one actor per connection.
 *
 *   connect all ─▶ one call each, read with care ─▶ loops start ─▶ window ─▶ loops stop ─▶ one call each again
 *
 * With a counter, the difference between the last call's result and the first one's says whether each acknowledged call
 * had its effect exactly once; a wrong one is an error of the run.
 */
import { CallLoop } from './call-loop.ts';
import { ackPlaceholder, FrameRing, numberDigits, numberPlaceholder } from './frame-template.ts';
import type { CallJob, LoadResult, Peer } from './load-job.ts';
import { RawWebSocket } from './raw-websocket.ts';
import { Tally } from './tally.ts';

const replyMsMax = 30_000;
/** All numbers have the same width without a leading zero, also those that are told as acknowledged. */
const firstNumber = 20_000_000;
const lastNumber = 10 ** numberDigits - 1;

export async function runCalls(job: CallJob): Promise<LoadResult> {
  const tally = new Tally();
  const clients = await Promise.all(job.peers.map((peer, index) => openClient(job, peer, index, tally)));
  const firsts = await Promise.all(clients.map((client) => client.callOnce(firstNumber)));
  const loops = clients.map(
    ({ socket, payload }) => new CallLoop(socket, new FrameRing(payload, job.pipelined), tally, firstNumber + 1),
  );
  for (const loop of loops) loop.start(job.pipelined);
  let counted: boolean | undefined;
  const measured = await tally.measure(job.window, job.serverPid, async () => {
    await within(replyMsMax, Promise.all(loops.map((loop) => loop.stop()))).catch(() => {
      tally.fault(`${loops.reduce((sum, loop) => sum + loop.inFlight, 0)} calls were never answered`);
    });
    if (job.counts !== undefined) counted = await addsUp(job.counts);
  });
  for (const { socket } of clients) socket.close();
  return { ...measured, sampleReply: firsts[0] ?? '', counted };

  async function addsUp(perCall: number): Promise<boolean> {
    const lasts = await Promise.all(clients.map((client) => client.callOnce(lastNumber)));
    const wrong = loops.filter(
      ({ completed }, index) => resultOf(lasts[index]!) - resultOf(firsts[index]!) !== (completed + 1) * perCall,
    );
    if (wrong.length > 0) tally.fault(`${wrong.length} counters do not hold what was acknowledged`);
    return wrong.length === 0;
  }
}

interface Client {
  readonly socket: RawWebSocket;
  readonly payload: string;
  /** Sends one call and waits for its reply. */
  callOnce(number: number): Promise<string>;
}

async function openClient(job: CallJob, peer: Peer, index: number, tally: Tally): Promise<Client> {
  const { actor, method, input, keys, keyPrefix } = job;
  const payload = JSON.stringify({
    type: 'rpc',
    id: numberPlaceholder,
    actor,
    actorId: peer.actorId,
    method,
    input,
    ...(keys === 'arbitrary' ? { key: `${keyPrefix}-${index}-${numberPlaceholder}` } : {}),
    ...(keys === 'numbered' ? { key: `${keyPrefix}-${index}:${numberPlaceholder}`, ack: Number(ackPlaceholder) } : {}),
  });
  const socket = await RawWebSocket.connect(job.target, peer.token);
  socket.onFailure = (reason) => tally.break(reason);
  return { socket, payload, callOnce };

  function callOnce(number: number): Promise<string> {
    const reply = new Promise<string>((resolve) => {
      socket.onText = (bytes, start, end) => {
        const text = bytes.toString('utf8', start, end);
        if (text.startsWith('{"type":"rpc')) resolve(text);
      };
    });
    const ack = number - job.pipelined;
    socket.sendText(payload.replaceAll(numberPlaceholder, `${number}`).replaceAll(ackPlaceholder, `${ack}`));
    return within(replyMsMax, reply);
  }
}

function resultOf(reply: string): number {
  const { result } = JSON.parse(reply) as { result?: unknown };
  if (typeof result !== 'number') throw new Error(`this reply has no number for a result: ${reply}`);
  return result;
}

/** @throws Error when the time is up first */
export async function within<T>(msMax: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${msMax} ms`)), msMax);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A reconnect storm: so many clients lose their connection in the same moment and come back, while others go on working.
 *
 *     node bench/storm.ts [--clients 2000] [--boards 100] [--steady 20] [--rounds 3] [--json file]
 *
 * The clients are the shipped ones with their default backoff, each subscribed to a board that changes while they are
 * away. The steady ones make one call at a time. Told are the time until all are back, how many were resumed as the same
 * client and with patches only, and the steady clients' latency before and during the storm.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { callJob } from './call-job.ts';
import { startChild, stopChild } from './children.ts';
import { runLoad } from './load-process.ts';
import { describeMachine } from './machine.ts';
import { Servers } from './servers.ts';
import type { Cut, OpenJob } from './storm-clients.ts';
import type { Measured } from './tally.ts';

const { values: flags } = parseArgs({
  options: {
    clients: { type: 'string', default: '2000' },
    boards: { type: 'string', default: '100' },
    steady: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'string' },
    'data-root': { type: 'string', default: join(import.meta.dirname, '../data') },
  },
});
const count = Number(flags.clients);
const warmUpMs = 1000;
const measureMs = 6000;
const lifeMsMax = 10 * 60_000;

interface Round extends Cut {
  readonly calm: Measured['latencyMs'];
  readonly storm: Measured['latencyMs'];
  readonly steadyErrors: number;
}

const servers = new Servers(flags['data-root']);
const child = startChild({ args: [join(import.meta.dirname, 'storm-clients.ts')], channel: true, lifeMsMax });
const rounds: Round[] = [];
try {
  await servers.start(['fermata']);
  const { host, port } = servers.get('fermata');
  const token = (await servers.token('fermata', 'storm'))!;
  const job: OpenJob = {
    kind: 'open',
    url: `ws://${host}:${port}`,
    token,
    clients: count,
    boards: Number(flags.boards),
  };
  await ask(job);
  for (let round = 1; round <= Number(flags.rounds); round += 1) rounds.push(await measure(round));
} finally {
  await stopChild(child);
  await servers.stop();
}
report();

async function measure(round: number): Promise<Round> {
  const calm = await steady();
  const measured = steady();
  // In the middle of the window, so that it holds the whole storm.
  await new Promise((resolve) => setTimeout(resolve, warmUpMs + 1500));
  const cut = await ask<Cut>({ kind: 'cut' });
  const storm = await measured;
  process.stderr.write(`round ${round}: ${cut.resumed} resumed, all back in ${Math.round(cut.backMs.max)} ms\n`);
  return { ...cut, calm: calm.latencyMs, storm: storm.latencyMs, steadyErrors: calm.errors + storm.errors };
}

async function steady(): Promise<Measured> {
  const variant = {
    name: 'steady',
    server: 'fermata',
    connections: Number(flags.steady),
    pipelined: 1,
    tenants: 1,
    keys: 'numbered',
    actor: 'counter',
    method: 'add',
    input: { amount: 1 },
    counts: 1,
  } as const;
  return await runLoad(await callJob(servers, variant, { warmUpMs, measureMs }));
}

function ask<T = void>(message: object): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('message', (answer: { result?: T; failure?: string }) => {
      if (answer.failure === undefined) resolve(answer.result as T);
      else reject(new Error(answer.failure));
    });
    child.once('exit', () => reject(new Error('the clients ended early')));
    child.send(message);
  });
}

function report(): void {
  const machine = describeMachine(flags['data-root']);
  const ms = (value: number): string => (value < 10 ? value.toFixed(2) : String(Math.round(value)));
  const head = [
    'round',
    'resumed',
    'current',
    'snapshots',
    'back p50 ms',
    'back p99 ms',
    'all back ms',
    'steady p99 before',
    'steady p99 during',
    'errors',
  ];
  const rows = rounds.map(({ resumed, current, snapshots, backMs, calm, storm, steadyErrors }, at) => [
    String(at + 1),
    `${resumed} of ${count}`,
    `${current} of ${count}`,
    String(snapshots),
    ms(backMs.p50),
    ms(backMs.p99),
    ms(backMs.max),
    ms(calm.p99),
    ms(storm.p99),
    String(steadyErrors),
  ]);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  console.log(
    `${count} clients on ${flags.boards} boards, ${flags.steady} steady ones; ${machine.cpu}, ${machine.cores} cores; ${machine.date.slice(0, 16)}, commit ${machine.commit}${machine.dirty ? ' with changes' : ''}\n`,
  );
  console.log([head, head.map(() => '---'), ...rows].map(line).join('\n'));
  if (flags.json === undefined) return;
  mkdirSync(dirname(flags.json), { recursive: true });
  writeFileSync(flags.json, `${JSON.stringify({ machine, flags, rounds }, null, 1)}\n`);
}

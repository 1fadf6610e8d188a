/** Runs a scenario: its servers up, then rounds in which every variant has its turn, so that all see the same weather. */
import { setTimeout as pause } from 'node:timers/promises';
import { callJob } from './call-job.ts';
import { runHttp } from './http-load.ts';
import type { LoadResult } from './load-job.ts';
import { runLoad } from './load-process.ts';
import { type FanOutVariant, loadOf, type Scenario } from './scenarios.ts';
import { Servers } from './servers.ts';
import type { Window } from './tally.ts';

export interface Row {
  readonly scenario: string;
  readonly variant: string;
  readonly load: string;
  /** What one counted call stands for: 1, or the number of subscribers that it reached. */
  readonly weight: number;
  /** One per round. */
  readonly runs: LoadResult[];
}

/** Behind a run the keeper writes tenant files for a moment; the next run starts after that. */
const settleMs = 700;

export async function measureScenario(
  scenario: Scenario,
  options: { window: Window; rounds: number; dataRoot: string; tell: (line: string) => void },
): Promise<Row[]> {
  const servers = new Servers(options.dataRoot);
  const measured = stepsOf(scenario, servers, options.window);
  try {
    await servers.start(new Set(scenario.variants.map(({ server }) => server)));
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const { row, run } of measured) {
        const result = await run();
        row.runs.push(result);
        options.tell(progress(row, round, result));
        await pause(settleMs);
      }
    }
  } finally {
    await servers.stop();
  }
  return measured.map(({ row }) => row);
}

interface Step {
  readonly row: Row;
  readonly run: () => Promise<LoadResult>;
}

function stepsOf(scenario: Scenario, servers: Servers, window: Window): Step[] {
  switch (scenario.kind) {
    case 'calls':
      return scenario.variants.map((variant) => ({
        row: rowOf(scenario, variant.name, loadOf(variant), 1),
        run: async () => runLoad(await callJob(servers, variant, window)),
      }));
    case 'http':
      return scenario.variants.map((variant) => ({
        row: rowOf(scenario, variant.name, loadOf(variant), 1),
        run: () => runHttp(servers, variant, window),
      }));
    case 'fan-out':
      return scenario.variants.map((variant) => ({
        row: rowOf(scenario, variant.name, loadOf(variant), variant.subscribers),
        run: () => runFanOut(servers, variant, window),
      }));
  }
}

function rowOf(scenario: Scenario, variant: string, load: string, weight: number): Row {
  return { scenario: scenario.name, variant, load, weight, runs: [] };
}

async function runFanOut(servers: Servers, variant: FanOutVariant, window: Window): Promise<LoadResult> {
  const { host, port, pid } = servers.get(variant.server);
  const bare = variant.server === 'echo';
  return await runLoad({
    kind: 'fan-out',
    writer: { host, port, path: bare ? '/writer' : '/ws' },
    subscriber: { host, port, path: bare ? '/subscriber' : '/ws' },
    token: await servers.token(variant.server, 'tenant-0'),
    subscribers: variant.subscribers,
    pipelined: variant.pipelined,
    actor: 'board',
    actorId: 'b1',
    method: 'raise',
    marker: bare ? '"id":' : '"value":',
    window,
    serverPid: pid,
  });
}

function progress({ scenario, variant, load }: Row, round: number, result: LoadResult): string {
  const errors = result.errors === 0 ? '' : `, ${result.errors} ERRORS: ${result.firstError}`;
  return `${scenario} round ${round}: ${variant} ${load}: ${Math.round(result.perSecond)}/s${errors}`;
}

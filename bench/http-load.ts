/**
 * Load over HTTP by autocannon, in its own process. Its own processor time is watched from outside: when it uses all of
 * a core, it and not the server sets the figure, and the table says so.
 */
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { startChild, stopChild } from './children.ts';
import type { LoadResult } from './load-job.ts';
import type { HttpVariant } from './scenarios.ts';
import type { Servers } from './servers.ts';
import { threadUse, type Window } from './tally.ts';
import { threadTimes } from './thread-times.ts';

/** What is used of autocannon's answer. */
interface Answer {
  readonly requests: { readonly total: number };
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly errors: number;
  readonly timeouts: number;
  readonly non2xx: number;
  readonly duration: number;
}

const autocannon = fileURLToPath(import.meta.resolve('autocannon'));
const beyondWindowMsMax = 20_000;
const watchMs = 100;

export async function runHttp(servers: Servers, variant: HttpVariant, window: Window): Promise<LoadResult> {
  const server = servers.get(variant.server);
  const token = await servers.token(variant.server, 'tenant-0');
  const url = `http://${server.host}:${server.port}${variant.path}`;
  await shoot(url, variant, token, window.warmUpMs, server.pid);
  return await shoot(url, variant, token, window.measureMs, server.pid);
}

async function shoot(
  url: string,
  { connections, body }: HttpVariant,
  token: string | undefined,
  durationMs: number,
  serverPid: number,
): Promise<LoadResult> {
  // Whole seconds: it takes no others.
  const seconds = Math.max(1, Math.round(durationMs / 1000));
  const headers = ['Content-Type=application/json', ...(token === undefined ? [] : [`Authorization=Bearer ${token}`])];
  const child = startChild({
    args: [
      autocannon,
      '--json',
      '--no-progress',
      '--method=POST',
      `--body=${body}`,
      `--connections=${connections}`,
      `--duration=${seconds}`,
      ...headers.flatMap((header) => ['--headers', header]),
      url,
    ],
    channel: false,
    lifeMsMax: seconds * 1000 + beyondWindowMsMax,
  });
  const threadsBefore = threadTimes(serverPid);
  const fromUs = Number(process.hrtime.bigint() / 1000n);
  try {
    const { text, generatorMs } = await output(child);
    const toUs = Number(process.hrtime.bigint() / 1000n);
    const windowMs = (toUs - fromUs) / 1000;
    const answer = JSON.parse(text) as Answer;
    const calls = answer.requests.total;
    const errors = answer.errors + answer.timeouts + answer.non2xx;
    const threads = threadUse(threadsBefore, threadTimes(serverPid), windowMs);
    return {
      windowMs,
      fromUs,
      toUs,
      calls,
      perSecond: calls / answer.duration,
      errors,
      firstError:
        errors === 0 ? undefined : `${answer.non2xx} not 2xx, ${answer.timeouts} timeouts, ${answer.errors} errors`,
      latencyMs: { p50: answer.latency.p50, p99: answer.latency.p99, max: answer.latency.max },
      generator: { share: generatorMs / windowMs, usPerCall: (generatorMs * 1000) / Math.max(1, calls) },
      server: { share: threads.reduce((sum, thread) => sum + thread.share, 0), threads },
      sampleReply: '',
      counted: undefined,
    };
  } finally {
    await stopChild(child);
  }
}

async function output(child: ChildProcess): Promise<{ text: string; generatorMs: number }> {
  let text = '';
  let generatorMs = 0;
  // Its times can be read only while it lives.
  const watch = setInterval(() => {
    const cpuMs = threadTimes(child.pid!).reduce((sum, thread) => sum + thread.cpuMs, 0);
    generatorMs = Math.max(generatorMs, cpuMs);
  }, watchMs);
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  clearInterval(watch);
  if (code !== 0) throw new Error(`autocannon ended with code ${code}: ${text}`);
  return { text, generatorMs };
}

/**
 * Reads V8's processor profiles: which function the thread was in, by samples. Self time only; what a native function
 * takes (fsync inside SQLite, a system call inside uWebSockets) counts for the native function's own line.
 */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: CallFrame;
    readonly children?: readonly number[];
  }[];
  /** Microseconds of the monotonic clock. */
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  /** Counted from 0. */
  readonly lineNumber: number;
}

export interface FunctionTime {
  readonly name: string;
  readonly place: string;
  /** Of the window, 0 to 1. */
  readonly share: number;
}

export interface ThreadProfile {
  /** Functions by self time, the largest first; being idle is one of them. */
  readonly functions: readonly FunctionTime[];
  readonly idleShare: number;
}

/** What the profile holds of the window, or undefined when it holds nothing of it. */
export function readProfile(path: string, window: { fromUs: number; toUs: number }): ThreadProfile | undefined {
  const profile = JSON.parse(readFileSync(path, 'utf8')) as Profile;
  const frames = namedFrames(profile);
  const timeUs = new Map<string, number>();
  let atUs = profile.startTime;
  let totalUs = 0;
  for (const [index, sample] of profile.samples.entries()) {
    const deltaUs = profile.timeDeltas[index] ?? 0;
    atUs += deltaUs;
    if (atUs < window.fromUs || atUs > window.toUs) continue;
    const frame = frames.get(sample)!;
    timeUs.set(frame, (timeUs.get(frame) ?? 0) + deltaUs);
    totalUs += deltaUs;
  }
  if (totalUs === 0) return undefined;
  const functions = [...timeUs]
    .map(([frame, us]) => {
      const [name = '', place = ''] = frame.split('\n');
      return { name, place, share: us / totalUs };
    })
    .sort((a, b) => b.share - a.share);
  return { functions, idleShare: functions.find(({ name }) => name === '(idle)')?.share ?? 0 };
}

/** By node: `name\nplace`. Native functions are told apart by who calls them. */
function namedFrames({ nodes }: Profile): Map<number, string> {
  const parents = new Map<number, CallFrame>();
  for (const { callFrame, children } of nodes) for (const child of children ?? []) parents.set(child, callFrame);
  return new Map(
    nodes.map(({ id, callFrame }) => {
      const name = callFrame.functionName || '(anonymous)';
      const native = callFrame.url === '' && !name.startsWith('(');
      const parent = native ? parents.get(id) : undefined;
      const place =
        parent === undefined ? placeOf(callFrame) : `native, from ${parent.functionName} ${placeOf(parent)}`;
      return [id, `${name}\n${place}`];
    }),
  );
}

function placeOf({ url, lineNumber }: CallFrame): string {
  if (url === '') return '';
  const path = url.startsWith('file:') ? relative(process.cwd(), fileURLToPath(url)) : url;
  return `${path}:${lineNumber + 1}`;
}

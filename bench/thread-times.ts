/** Processor time of each thread of a process, from Linux's /proc. Empty elsewhere. */
import { readdirSync, readFileSync } from 'node:fs';

export interface ThreadTime {
  readonly tid: number;
  readonly name: string;
  /** User and system time since the thread began, in steps of 10 ms. */
  readonly cpuMs: number;
}

/** Linux counts in hundredths of a second on every platform that Node supports. */
const msPerTick = 10;

export function threadTimes(pid: number): ThreadTime[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map((tid) => {
      const stat = readFileSync(`/proc/${pid}/task/${tid}/stat`, 'utf8');
      // The name stands in parentheses and may hold anything, so fields are counted from behind it.
      const nameEnd = stat.lastIndexOf(')');
      const fields = stat.slice(nameEnd + 2).split(' ');
      const cpuMs = (Number(fields[11]) + Number(fields[12])) * msPerTick;
      return { tid: Number(tid), name: stat.slice(stat.indexOf('(') + 1, nameEnd), cpuMs };
    });
  } catch {
    return [];
  }
}

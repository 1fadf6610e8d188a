/**
 * Names the time since the machine was started: what was written without fsync survives the process, but not this. Linux
 * tells it; elsewhere each process counts as a start of its own, which is never wrong, only less.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';

let known: string | undefined;

/** 8 hexadecimal digits. */
export function hostRun(): string {
  known ??= bootId().slice(0, 8);
  return known;
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
  } catch {
    return randomUUID();
  }
}

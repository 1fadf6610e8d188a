/** Settings that are spans of time: a duration, and how many backups of which span are kept. Written and read alike. */
import type { BackupKeep } from './config.ts';
import type { Parsed } from './config-reader.ts';
import { listOf } from './config-values.ts';

const unitsMs = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 } as const;
const durationMsMin = unitsMs.m;
const durationMsMax = 7 * unitsMs.d;

/** `90s`, `15m`, `1h`, `1d` in milliseconds; undefined for `off`. */
export function durationOrOff(text: string): Parsed<number | undefined> {
  if (text.trim() === 'off') return { value: undefined };
  const parsed = duration(durationMsMin)(text);
  return 'value' in parsed ? parsed : { problem: `${parsed.problem}, or off` };
}

/** The same without `off`, at least `msMin`. */
export function duration(msMin: number): (text: string) => Parsed<number> {
  return (text) => {
    const [, figure = '', unit = ''] = /^(\d{1,9})([smhd])$/.exec(text.trim()) ?? [];
    const value = Number(figure) * (Object.entries(unitsMs).find(([name]) => name === unit)?.[1] ?? 0);
    if (value >= msMin && value <= durationMsMax) return { value };
    return {
      problem: `"${text}" is no time from ${durationText(msMin)} to 7d; write a number and s, m, h or d, such as 15m`,
    };
  };
}

export function durationText(ms: number | undefined): string {
  if (ms === undefined) return 'off';
  const [unit, unitMs] = Object.entries(unitsMs).find(([, each]) => ms % each === 0) ?? ['ms', 1];
  return `${ms / unitMs}${unit}`;
}

const kinds = { h: 'hourly', d: 'daily', w: 'weekly' } as const;
const remedy = 'write counts of hours, days and weeks, such as 24h,7d,4w';

/** `24h,7d,4w`: each kind at most once, in any order; what is left out is 0. */
export function backupKeep(text: string): Parsed<BackupKeep> {
  const keep = new Map<string, number>();
  for (const part of listOf(text)) {
    const [, figure = '', unit = ''] = /^(\d{1,4})([hdw])$/.exec(part) ?? [];
    if (Number(figure) === 0) return { problem: `"${part}" is no count of backups to keep; ${remedy}` };
    if (keep.has(unit)) return { problem: `"${text}" says ${unit} twice; ${remedy}` };
    keep.set(unit, Number(figure));
  }
  if (keep.size === 0) return { problem: `"${text}" would keep no backup; ${remedy}` };
  return { value: { hourly: keep.get('h') ?? 0, daily: keep.get('d') ?? 0, weekly: keep.get('w') ?? 0 } };
}

export function keepText(keep: BackupKeep): string {
  const parts = Object.entries(kinds).filter(([, kind]) => keep[kind] > 0);
  return parts.map(([unit, kind]) => `${keep[kind]}${unit}`).join(',');
}

/** Quantities as deployment files write them. */

/** Of `15s`. NaN for anything else. */
export function secondsOf(text: unknown): number {
  return Number(/^(\d+)s$/.exec(String(text))?.[1]);
}

/** Of `256m`, `2g`, `512Mi`, `1Gi`. NaN for anything else. */
export function bytesOf(text: unknown): number {
  const [, number, unit] = /^(\d+)(m|g|Mi|Gi)$/.exec(String(text)) ?? [];
  return Number(number) * (unit?.toLowerCase().startsWith('g') ? 2 ** 30 : 2 ** 20);
}

/** The known name that is at most two typing errors away, or undefined. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const distanceMax = Math.min(2, Math.floor(name.length / 2));
  let best: string | undefined;
  let bestDistance = distanceMax + 1;
  for (const candidate of known) {
    const distance = typingErrors(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Letters added, left out, mistaken or swapped with their neighbour (optimal string alignment distance). */
function typingErrors(typed: string, meant: string): number {
  const rows: number[][] = [Array.from({ length: meant.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= typed.length; i += 1) {
    const row = [i];
    const above = rows[i - 1]!;
    for (let j = 1; j <= meant.length; j += 1) {
      const replaced = above[j - 1]! + (typed[i - 1] === meant[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && typed[i - 1] === meant[j - 2] && typed[i - 2] === meant[j - 1];
      row.push(Math.min(above[j]! + 1, row[j - 1]! + 1, replaced, swapped ? rows[i - 2]![j - 2]! + 1 : replaced));
    }
    rows.push(row);
  }
  return rows[typed.length]![meant.length]!;
}

/** "Did you mean …": the candidate closest to a mistyped word, or undefined when none is close. */
export function suggestion(word: string, candidates: Iterable<string>): string | undefined {
  const typed = word.toLowerCase();
  // A third of the word may be wrong; more than that is another word.
  let smallest = Math.max(2, Math.floor(word.length / 3)) + 1;
  let closest: string | undefined;
  for (const candidate of candidates) {
    const steps = distance(typed, candidate.toLowerCase());
    if (steps >= smallest) continue;
    smallest = steps;
    closest = candidate;
  }
  return closest;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one word into the other. */
function distance(from: string, to: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let steps = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + (same ? 0 : 1));
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (swapped) steps = Math.min(steps, beforeLast[column - 2]! + 1);
      current.push(steps);
    }
    beforeLast = last;
    last = current;
  }
  return last[to.length]!;
}

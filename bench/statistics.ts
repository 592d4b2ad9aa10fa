export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Throws for no values: a figure without a run would be an invention. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const [min] = sorted;
  const max = sorted.at(-1);
  const lower = sorted[Math.floor((sorted.length - 1) / 2)];
  const upper = sorted[Math.floor(sorted.length / 2)];
  if (min === undefined || max === undefined || lower === undefined || upper === undefined)
    throw new Error('no values');
  return { median: (lower + upper) / 2, min, max };
}

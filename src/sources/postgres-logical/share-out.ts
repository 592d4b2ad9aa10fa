/**
 * Shares items out over at most `count` workers so that each has about the same weight, biggest first. Within a share
 * the items keep their order. No share is empty.
 */
export function shareOut<T>(items: readonly T[], count: number, weight: (item: T) => number): T[][] {
  const shares = Array.from({ length: Math.max(1, Math.min(count, items.length)) }, () => ({
    total: 0,
    indexes: [] as number[],
  }));
  const byWeight = items
    .map((item, index) => ({ index, weight: weight(item) }))
    .toSorted((a, b) => b.weight - a.weight);
  for (const { index, weight: own } of byWeight) {
    const least = shares.reduce((best, share) => (share.total < best.total ? share : best));
    least.total += own + 1;
    least.indexes.push(index);
  }
  return shares
    .filter(({ indexes }) => indexes.length > 0)
    .map(({ indexes }) =>
      indexes.toSorted((a, b) => a - b).flatMap((index) => items.slice(index, index + 1)),
    );
}

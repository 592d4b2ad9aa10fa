import type { App } from '../compose.ts';
import { storageSettingsOf } from '../places.ts';
import { estimateCost, type CostBasis, type CostEstimate } from './estimate.ts';
import { pricesAt } from './prices.ts';

/** What a place of the configuration may cost; null where no prices are known, as of disks and servers of one's own. */
export function placeCost(
  { config, env }: Pick<App, 'config' | 'env'>,
  location: string,
  basis: Omit<CostBasis, 'walIntervalsMs'>,
): CostEstimate | null {
  const list = pricesAt(location, storageSettingsOf(config, location), env);
  if (list === undefined) return null;
  const walIntervalsMs = Object.values(config.sources).flatMap((source) =>
    source.type === 'postgres-cluster' ? [source.wal_interval] : [],
  );
  return estimateCost(list, { ...basis, walIntervalsMs });
}

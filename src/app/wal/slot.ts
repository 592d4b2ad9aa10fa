import type { ClusterSourceConfig } from '../../contract/config-source-cluster.ts';

/** The replication slot of `holdfast wal stream`. Names of slots are made of lower-case letters, digits and _. */
export function slotOf(source: string, config: Pick<ClusterSourceConfig, 'slot'>): string {
  return config.slot ?? `holdfast_${source.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')}`.slice(0, 63);
}

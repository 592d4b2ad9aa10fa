import { hash } from 'node:crypto';
import { compareValues, type Comparison } from './compare.ts';
import { orderText, type Order } from './orders.ts';
import type { Inventory, TableContent } from './portrait.ts';
import type { StepResults } from './story.ts';

/** What was there the moment before a table was dropped: kept outside of the cluster, or asked of its server then. */
export interface ClusterTruth {
  readonly orders: readonly Order[];
  readonly tables: Inventory['tables'];
}

/** What the recovered server says. */
export interface ClusterFound {
  /** From the first order of the list on. */
  readonly orders: readonly Pick<Order, 'id' | 'customer' | 'invoice'>[];
  readonly tables: Inventory['tables'];
}

const droppedTable = 'sales.orders';

export function compareCluster(truth: ClusterTruth, found: ClusterFound): Comparison[] {
  const rows = ({ tables }: ClusterFound): Map<string, string> => mapped(tables, (table) => `${table.rows}`);
  const prints = ({ tables }: ClusterFound): Map<string, string> =>
    mapped(tables, ({ fingerprint }) => fingerprint);
  return [
    ...compareValues('listed order', byId(truth.orders), byId(found.orders)),
    ...compareValues('recovered row count', rows(truth), rows(found)),
    ...compareValues('recovered fingerprint', prints(truth), prints(found)),
  ];
}

export function clusterProofOf(
  truth: ClusterTruth,
  comparisons: readonly Comparison[],
): StepResults['cluster_proof'] {
  const unequal = comparisons.filter(({ equal }) => !equal);
  const isUnequal = (what: RegExp, name: (name: string) => boolean): boolean =>
    unequal.some((one) => what.test(one.what) && name(one.name));
  const others = [...truth.tables].filter(([name]) => name !== droppedTable);
  const dropped = truth.tables.get(droppedTable) ?? { rows: 0, fingerprint: '' };
  return {
    list: {
      orders: truth.orders.length,
      found: comparisons.filter((one) => one.what === 'listed order' && one.after !== null).length,
      fingerprint: fingerprintOf([...byId(truth.orders)].map(([id, text]) => `${id} ${text}`).toSorted()),
      equal: !isUnequal(/^listed/, () => true),
    },
    dropped: {
      name: droppedTable,
      ...dropped,
      equal: !isUnequal(/^recovered/, (name) => name === droppedTable),
    },
    others: {
      tables: others.length,
      rows: others.reduce((sum, [, { rows }]) => sum + rows, 0),
      fingerprint: fingerprintOf(others),
      equal: !isUnequal(/^recovered/, (name) => name !== droppedTable),
    },
    comparisons: comparisons.length,
    equal: comparisons.length - unequal.length,
  };
}

function byId(orders: ClusterFound['orders']): Map<string, string> {
  return new Map(orders.map((order) => [order.id, orderText(order)]));
}

function mapped(tables: Inventory['tables'], value: (table: TableContent) => string): Map<string, string> {
  return new Map(tables.entries().map(([name, table]) => [name, value(table)]));
}

function fingerprintOf(values: unknown): string {
  return hash('sha256', JSON.stringify(values)).slice(0, 16);
}

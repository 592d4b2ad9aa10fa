import { basename, join } from 'node:path';
import { failure } from '../../kernel/errors/failure.ts';
import type { BackupView } from '../backup-view.ts';
import type { AppContext } from '../compose.ts';
import { slotOf } from '../wal/slot.ts';
import { clusterProofOf, compareCluster, type ClusterTruth } from './cluster-proof.ts';
import type { Comparison } from './compare.ts';
import { connect } from './connect.ts';
import { ordersFrom, takeOrders, type Order } from './orders.ts';
import { takeInventory, totalRows, type Inventory } from './portrait.ts';
import type { Recovered } from './recovered.ts';
import { dropSql, spoilOrderSql } from './shop.ts';
import type { Stage } from './stage.ts';
import { statements, typed, type Steps } from './steps.ts';
import type { StepResults } from './story.ts';
import { Streaming } from './streaming.ts';
import type { User } from './user.ts';

export interface ClusterActOptions {
  readonly stage: Stage;
  readonly user: User;
  readonly steps: Steps;
  /** Where the cluster is brought back to. */
  readonly recovered: Recovered;
  /** Change one row of what came back, which the proof must notice. */
  readonly tamper: boolean;
}

export interface ClusterPlayed {
  readonly backup: BackupView;
  readonly comparisons: readonly Comparison[];
  /** The moment before the table was dropped. */
  readonly moment: string;
}

/** The second act: the whole server is backed up and streamed, and brought back to the moment before a mistake. */
export async function playCluster(options: ClusterActOptions, context: AppContext): Promise<ClusterPlayed> {
  const { stage, user, steps } = options;
  // A server that has been there for longer has had one, and its WAL from before it is of no use to anybody.
  await stage.server.psql('CHECKPOINT');
  await using streaming = new Streaming((signal, hear) => user.streamWal(signal, hear));
  const scenes = new ClusterScenes(options, streaming, context);
  await scenes.stream();
  const { backup } = await steps.step('cluster_backup', typed('holdfast backup cluster'), async () => {
    const [made] = await user.backUp(['cluster']);
    if (made === undefined) throw failure('internal', { reason: 'a backup without a result' });
    return { backup: made };
  });
  const orders = await scenes.takeOrders();
  const { truth, at } = await scenes.drop(orders);
  await scenes.recover(at);
  const comparisons = await scenes.prove(truth);
  return { backup, comparisons, moment: at };
}

class ClusterScenes {
  readonly #options: ClusterActOptions;
  readonly #streaming: Streaming;
  readonly #context: AppContext;

  constructor(options: ClusterActOptions, streaming: Streaming, context: AppContext) {
    this.#options = options;
    this.#streaming = streaming;
    this.#context = context;
  }

  stream(): Promise<StepResults['wal_stream']> {
    const { steps } = this.#options;
    return steps.step('wal_stream', typed('holdfast wal stream --synchronous &'), async () => ({
      slot: slotOf('cluster', {}),
      ...(await this.#streaming.begun()),
    }));
  }

  async takeOrders(): Promise<readonly Order[]> {
    const { stage, steps } = this.#options;
    const list = join(stage.directory, 'orders.list');
    const { clock } = this.#context.machine;
    let orders: readonly Order[] = [];
    await steps.step('orders', [], async () => {
      // Each commit waits for the stream.
      orders = await this.#streaming.during(takeOrders(stage.server, list, () => clock.now()));
      const times = orders.map(({ acknowledgedMs }) => acknowledgedMs);
      return {
        orders: orders.length,
        list: basename(list),
        first_at: new Date(Math.min(...times)).toISOString(),
        last_at: new Date(Math.max(...times)).toISOString(),
      };
    });
    return orders;
  }

  /** Answers what was there the moment before, and which moment that was by the server's clock. */
  async drop(orders: readonly Order[]): Promise<{ truth: ClusterTruth; at: string }> {
    const { stage, steps } = this.#options;
    let truth: ClusterTruth = { orders, tables: new Map() };
    const { at } = await steps.step('drop', statements(dropSql), async () => {
      const before = await takeInventory(stage.server);
      truth = { orders, tables: before.tables };
      const moment = await this.#streaming.during(this.#dropTable());
      return { at: moment, ...lost(before, await takeInventory(stage.server)) };
    });
    return { truth, at };
  }

  /** The moment before, to the microsecond. */
  async #dropTable(): Promise<string> {
    const client = await connect(this.#options.stage.server, 'shop', '-c synchronous_commit=on');
    try {
      const { rows } = await client.query<{ at: string }>(
        `SELECT to_char(clock_timestamp(), 'YYYY-MM-DD HH24:MI:SS.US') || '+00' AS at`,
      );
      await client.query(dropSql);
      return rows[0]?.at ?? '';
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  recover(at: string): Promise<StepResults['recovery']> {
    const { recovered, steps, user } = this.#options;
    const to = basename(recovered.directory);
    const command = [
      { prompt: '$', text: 'kill %1' },
      { prompt: '$', text: `holdfast restore latest:cluster --to ${to} \\` },
      { prompt: '>', text: `--at '${at}' --start` },
    ] as const;
    return steps.step('recovery', command, async () => {
      // Nobody stores anything from now on that the recovering server's user would not own.
      await this.#streaming.end();
      await recovered.prepare();
      const result = await user.restoreCluster(to, at, recovered.variables);
      recovered.startedOn(result.port);
      return result;
    });
  }

  async prove(truth: ClusterTruth): Promise<readonly Comparison[]> {
    const { recovered, steps, tamper } = this.#options;
    const firstId = truth.orders.map(({ id }) => BigInt(id)).reduce((a, b) => (a < b ? a : b));
    const spoil = spoilOrderSql(String(firstId));
    let comparisons: readonly Comparison[] = [];
    await steps.step('cluster_proof', tamper ? statements(spoil) : [], async () => {
      if (tamper) await recovered.psql(spoil, 'shop');
      const text = await recovered.psql(ordersFrom(String(firstId)), 'shop');
      const orders = text.split('\n').map((line) => {
        const [id = '', customer = '', invoice = ''] = line.split('|');
        return { id, customer, invoice };
      });
      const { tables } = await takeInventory(recovered);
      comparisons = compareCluster(truth, { orders, tables });
      return clusterProofOf(truth, comparisons);
    });
    return comparisons;
  }
}

function lost(before: Inventory, after: Inventory): Omit<StepResults['drop'], 'at'> {
  return {
    tables_lost: before.tables.size - after.tables.size,
    rows_lost: totalRows(before) - totalRows(after),
  };
}

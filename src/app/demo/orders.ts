import { appendFile } from 'node:fs/promises';
import type { Client } from 'pg';
import { connect, type Address } from './connect.ts';

/** An order as the shop was told when it was there for good. */
export interface Order {
  readonly id: string;
  readonly customer: string;
  readonly invoice: string;
  /** When the server had acknowledged its commit: milliseconds since 1970. */
  readonly acknowledgedMs: number;
}

const tills = 4;
const ordersEach = 60;

const placeOrder = `
  WITH placed AS (
    INSERT INTO sales.orders (customer_id, placed_at, updated_at)
    VALUES (1 + $1::bigint * 7 % 5000, now(), now())
    RETURNING id, customer_id, invoice
  ), line AS (
    INSERT INTO sales.order_items
    SELECT placed.id, 1, p.id, 1, p.price FROM placed, catalog.products p WHERE p.id = 1 + $1::bigint % 800
  )
  SELECT id, customer_id, invoice FROM placed`;

/**
 * Orders come in from several tills at once, each in a transaction of its own. Answers those whose commits were
 * acknowledged, in that order; they are in the file `list` as well.
 */
export async function takeOrders(
  server: Address,
  list: string,
  now: () => number,
): Promise<readonly Order[]> {
  const orders: Order[] = [];
  await Promise.all(
    Array.from({ length: tills }, async (_, till) => {
      // The server's other work is not worth waiting for; an order is, and is acknowledged when it is stored elsewhere.
      const client = await connect(server, 'shop', '-c synchronous_commit=on');
      try {
        for (let number = 0; number < ordersEach; number += 1) {
          const order = await takeOrder(client, till * ordersEach + number, now);
          orders.push(order);
          await appendFile(list, lineOf(order));
        }
      } finally {
        await client.end().catch(() => undefined);
      }
    }),
  );
  return orders;
}

async function takeOrder(client: Client, number: number, now: () => number): Promise<Order> {
  const { rows } = await client.query<{ id: string; customer_id: string; invoice: string }>(placeOrder, [
    number,
  ]);
  const [row] = rows;
  if (row === undefined) throw new Error('an order that nobody has');
  return { id: row.id, customer: row.customer_id, invoice: row.invoice, acknowledgedMs: now() };
}

function lineOf({ id, customer, invoice, acknowledgedMs }: Order): string {
  return `${new Date(acknowledgedMs).toISOString()} order ${id} customer ${customer} invoice ${invoice}\n`;
}

/** What the list and a table of orders are compared by. */
export function orderText({ customer, invoice }: Pick<Order, 'customer' | 'invoice'>): string {
  return `customer ${customer}, invoice ${invoice}`;
}

/** A statement that reads orders from the one with that id on, as `id|customer|invoice`. */
export function ordersFrom(id: string): string {
  return `SELECT id, customer_id, invoice FROM sales.orders WHERE id >= ${BigInt(id)} ORDER BY id`;
}

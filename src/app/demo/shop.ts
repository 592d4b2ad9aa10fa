import { readFile } from 'node:fs/promises';
import type { LocalServer } from '../local-postgres/server.ts';

const scripts = {
  schema: new URL('./sql/schema.sql', import.meta.url),
  data: new URL('./sql/data.sql', import.meta.url),
  finish: new URL('./sql/finish.sql', import.meta.url),
  businessDay: new URL('./sql/business-day.sql', import.meta.url),
};
const read = (script: URL): Promise<string> => readFile(script, 'utf8');

/** Creates the database `shop` and fills it. Answers its size. */
export async function openShop(server: LocalServer): Promise<number> {
  await server.psql('CREATE ROLE shop_owner; CREATE ROLE shop_app');
  await server.psql('CREATE DATABASE shop OWNER shop_owner');
  const [schema, data, finish] = await Promise.all([scripts.schema, scripts.data, scripts.finish].map(read));
  // One transaction, so that new tables need no WAL.
  await server.psql(`BEGIN; SET ROLE shop_owner; ${schema} ${data} ${finish} COMMIT`, 'shop');
  return Number(await server.psql("SELECT pg_database_size('shop')"));
}

export interface BusinessDay {
  readonly orders: number;
  /** Rows inserted, updated or deleted. */
  readonly rows_changed: number;
}

/** Orders come in and move on, customers and prices change. */
export async function businessDay(server: LocalServer): Promise<BusinessDay> {
  // Several statements without BEGIN are one transaction, which this counts before it ends.
  const count = `
    SELECT sum(n_tup_ins) FILTER (WHERE relname = 'orders'), sum(n_tup_ins + n_tup_upd + n_tup_del)
      FROM pg_stat_xact_user_tables WHERE relname <> 'monthly_revenue'`;
  const counted = await server.psql((await read(scripts.businessDay)) + count, 'shop');
  const [orders, changed] = counted.split('|');
  return { orders: Number(orders), rows_changed: Number(changed) };
}

/** A release that went to the wrong server, and a forgotten WHERE. */
export const disasterSql = [
  'DROP SCHEMA sales CASCADE;',
  "UPDATE crm.customers SET email = 'test' || id || '@example.com';",
] as const;

/** Somebody takes the shop's server for the one to try things on. */
export const dropSql = 'DROP TABLE sales.orders CASCADE;';

/** Another invoice for one of the orders that came back: the least that the proof must notice. */
export function spoilOrderSql(id: string): string {
  return `UPDATE sales.orders SET invoice = -invoice WHERE id = ${id};`;
}

/** One character in one row: the least that the proof must notice. */
export const tamperSql = "UPDATE crm.addresses SET city = city || '?' WHERE customer_id = 7;";

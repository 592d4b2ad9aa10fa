import { Client } from 'pg';
import type { LocalServer } from '../local-postgres/server.ts';

export type Address = Pick<LocalServer, 'port' | 'superuser' | 'password'>;

/** A connection to a server of the demo; every value comes as text. To be ended. */
export async function connect(
  { port, superuser, password }: Address,
  database: string,
  options = '',
): Promise<Client> {
  const client = new Client({
    host: '127.0.0.1',
    port,
    user: superuser,
    password,
    database,
    // Named, because PGSSLMODE and PGOPTIONS of this process would count otherwise.
    ssl: false,
    options: `-c TimeZone=UTC ${options}`.trim(),
    connectionTimeoutMillis: 5000,
    types: { getTypeParser: () => String },
  });
  // A connection that breaks fails its query as well, and that is what is told.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

import { z } from 'zod';
import { Secret } from '../kernel/secret.ts';
import {
  durationSchema,
  jobsSchema,
  secretSchema,
  setting,
  tagsSetting,
  textSchema,
} from './config-setting.ts';

const urlPattern = /^postgres(?:ql)?:\/\//;

/** Settings of one PostgreSQL database, several, or all of a server, backed up logically. */
const shape = {
  type: setting(z.literal('postgres'), {
    description: 'The kind of source: postgres is a PostgreSQL database, backed up logically (pg_dump)',
    example: 'postgres',
  }),
  url: setting(
    z
      .string({ error: 'must be text' })
      .regex(urlPattern, { error: 'must be a URL such as postgres://user@host:5432/database' })
      .transform((value) => new Secret(value))
      .optional(),
    {
      description: 'Connection URL. Excludes host, port, user and database',
      secret: 'url',
      example: '${DATABASE_URL}',
    },
  ),
  url_file: setting(textSchema.optional(), {
    description: 'File whose first line is the connection URL',
    path: true,
    example: '/run/secrets/database-url',
  }),
  host: setting(textSchema.optional(), {
    description: 'Host name, address, or directory of the server’s socket',
    defaultText: 'PGHOST, else what libpq uses',
    example: 'db.example.com',
  }),
  port: setting(z.number({ error: 'must be a port number' }).int().min(1).max(65_535).optional(), {
    description: 'Port',
    defaultText: 'PGPORT, else 5432',
    example: '5432',
  }),
  user: setting(textSchema.optional(), {
    description: 'User; needs to read everything that is to be backed up',
    defaultText: 'PGUSER, else the name of the system’s user',
    example: 'backup',
  }),
  password: setting(secretSchema.optional(), {
    description: 'Password. Better given by a variable, by password_file or by ~/.pgpass',
    secret: 'value',
    defaultText: 'PGPASSWORD, else ~/.pgpass',
    example: '${SHOP_PASSWORD}',
  }),
  password_file: setting(textSchema.optional(), {
    description: 'File whose first line is the password',
    path: true,
    example: '/run/secrets/shop-password',
  }),
  database: setting(textSchema.optional(), {
    description: 'The one database to back up',
    defaultText: 'PGDATABASE, else the name of the user',
    example: 'shop',
  }),
  databases: setting(z.array(textSchema, { error: 'must be a list of names' }).min(1).optional(), {
    description:
      'Several databases in one backup; "*" stands for every one of the server. Excludes database. The first connection goes to PGDATABASE or postgres, else to the first listed that exists, else to template1',
    example: '["*"]',
  }),
  sslmode: setting(z.enum(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full']).optional(), {
    description: 'How the connection is protected, as libpq understands it',
    defaultText: 'PGSSLMODE, else prefer',
    example: 'verify-full',
  }),
  sslrootcert: setting(textSchema.optional(), {
    description: 'File with the certificates of the authorities to trust',
    path: true,
    example: '/etc/ssl/certs/database-ca.pem',
  }),
  sslcert: setting(textSchema.optional(), {
    description: 'File with the client’s certificate',
    path: true,
    example: '/etc/holdfast/client.crt',
  }),
  sslkey: setting(textSchema.optional(), {
    description: 'File with the client’s private key',
    path: true,
    example: '/etc/holdfast/client.key',
  }),
  connect_timeout: setting(durationSchema.prefault('10s'), {
    description: 'How long to wait for the server to accept the connection',
  }),
  client_bin: setting(textSchema.optional(), {
    description: 'Directory of pg_dump and pg_restore',
    path: true,
    defaultText: 'the newest that serves the server, from /usr/lib/postgresql/*/bin and PATH',
    example: '/usr/lib/postgresql/17/bin',
  }),
  jobs: setting(jobsSchema(), {
    description: 'How many tables of this source are dumped at once; auto takes the global jobs',
  }),
  lock_timeout: setting(durationSchema.prefault('60s'), {
    description:
      'How long to wait for a table that somebody has locked, before the backup of this source fails',
  }),
  globals: setting(z.boolean({ error: 'must be true or false' }).default(true), {
    description: 'Also back up what belongs to the server and not to a database: roles and tablespaces',
  }),
  tags: tagsSetting(),
} as const;

/** A source of type `postgres`. */
export const postgresSourceSchema = z.strictObject(shape).superRefine((source, context) => {
  const exclude = (first: keyof typeof source, second: keyof typeof source): void => {
    if (source[first] === undefined || source[second] === undefined) return;
    context.addIssue({
      code: 'custom',
      path: [second],
      params: { contradicts: first },
      message: 'contradiction',
    });
  };
  exclude('url', 'url_file');
  exclude('password', 'password_file');
  exclude('database', 'databases');
  for (const field of ['host', 'port', 'user', 'database'] as const) {
    exclude('url', field);
    exclude('url_file', field);
  }
});

export type PostgresSourceConfig = z.output<typeof postgresSourceSchema>;

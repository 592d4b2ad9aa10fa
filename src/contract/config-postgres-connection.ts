import { z } from 'zod';
import { Secret } from '../kernel/secret.ts';
import { durationSchema, secretSchema, setting, textSchema } from './config-setting.ts';

const urlPattern = /^postgres(?:ql)?:\/\//;

/** Settings that say how a PostgreSQL server is reached. */
export const connectionShape = {
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
} as const;

/** Two settings that exclude each other, reported at the second. */
export type Exclude = (first: string, second: string) => void;

/** For `superRefine`: tells which pairs of settings contradict each other. */
export function excluding(source: Readonly<Record<string, unknown>>, context: z.RefinementCtx): Exclude {
  return (first, second) => {
    if (source[first] === undefined || source[second] === undefined) return;
    context.addIssue({
      code: 'custom',
      path: [second],
      params: { contradicts: first },
      message: 'contradiction',
    });
  };
}

/** What excludes each other in every source that connects. */
export function excludeInConnection(exclude: Exclude): void {
  exclude('url', 'url_file');
  exclude('password', 'password_file');
  for (const field of ['host', 'port', 'user', 'database'] as const) {
    exclude('url', field);
    exclude('url_file', field);
  }
}

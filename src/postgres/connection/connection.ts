import { failure } from '../../kernel/errors/failure.ts';
import { Secret } from '../../kernel/secret.ts';
import { parseConnectionUrl } from './connection-url.ts';

export interface HostPort {
  /** A name, an address, or the directory of a unix socket (starts with `/`). */
  readonly host: string;
  readonly port: number;
}

export const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof sslModes)[number];

const sessionAttributes = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const;
export type SessionAttributes = (typeof sessionAttributes)[number];

/** One connection, however it was given: by URL, by PG* variables, or field by field. */
export interface ConnectionParameters {
  /** Tried in order. At least one. */
  readonly hosts: readonly HostPort[];
  readonly user: string;
  readonly database: string;
  readonly password: Secret | undefined;
  readonly sslMode: SslMode;
  readonly targetSessionAttributes: SessionAttributes;
  readonly connectTimeoutSeconds: number;
  /** Server settings of the session, as in libpq's `options`: `-c name=value …`. */
  readonly options: string;
  /** Other libpq parameters, by keyword: `sslrootcert`, `sslcert`, `channel_binding` … Never secret. */
  readonly extra: Readonly<Record<string, string>>;
}

/** Variables of the environment; handed in, never read here. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** libpq keywords beside those with a field of their own, and the variables that carry them to child processes. */
export const extraVariables: Readonly<Record<string, string>> = {
  passfile: 'PGPASSFILE',
  channel_binding: 'PGCHANNELBINDING',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  sslrootcert: 'PGSSLROOTCERT',
  sslcrl: 'PGSSLCRL',
  sslcrldir: 'PGSSLCRLDIR',
  sslsni: 'PGSSLSNI',
  sslnegotiation: 'PGSSLNEGOTIATION',
  ssl_min_protocol_version: 'PGSSLMINPROTOCOLVERSION',
  ssl_max_protocol_version: 'PGSSLMAXPROTOCOLVERSION',
  gssencmode: 'PGGSSENCMODE',
  krbsrvname: 'PGKRBSRVNAME',
  require_auth: 'PGREQUIREAUTH',
};

/** The keywords with a field of their own, and their variables. */
const coreVariables: Readonly<Record<string, string>> = {
  host: 'PGHOST',
  port: 'PGPORT',
  user: 'PGUSER',
  dbname: 'PGDATABASE',
  password: 'PGPASSWORD',
  sslmode: 'PGSSLMODE',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  target_session_attrs: 'PGTARGETSESSIONATTRS',
  options: 'PGOPTIONS',
};

/**
 * What object-relational mappers put into `DATABASE_URL` and PostgreSQL itself does not know. They change how a
 * pool behaves, not which database is meant, so they are passed over instead of refusing a URL that works elsewhere.
 */
const poolParameters = new Set([
  'schema',
  'connection_limit',
  'pool_timeout',
  'pgbouncer',
  'statement_cache_size',
  'application_name',
  'keepalives',
  'keepalives_idle',
  'keepalives_interval',
  'keepalives_count',
  'tcp_user_timeout',
]);

/** From `postgres://…`, with the PG* variables for what the URL leaves open, as libpq does. */
export function connectionFromUrl(url: string, env: Environment): ConnectionParameters {
  return fromKeywords(parseConnectionUrl(url), env);
}

/** From the PG* variables alone. */
export function connectionFromEnvironment(env: Environment): ConnectionParameters {
  return fromKeywords({}, env);
}

export interface ConnectionFields {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  readonly password?: Secret | undefined;
  readonly database?: string | undefined;
  /** Further libpq keywords, such as `sslmode`. */
  readonly parameters?: Readonly<Record<string, string>> | undefined;
}

export function connectionFromFields(fields: ConnectionFields, env: Environment): ConnectionParameters {
  const keywords: Record<string, string> = { ...fields.parameters };
  if (fields.host !== undefined) keywords['host'] = fields.host;
  if (fields.port !== undefined) keywords['port'] = String(fields.port);
  if (fields.user !== undefined) keywords['user'] = fields.user;
  if (fields.password !== undefined) keywords['password'] = fields.password.reveal();
  if (fields.database !== undefined) keywords['dbname'] = fields.database;
  return fromKeywords(keywords, env);
}

/** Where it leads, for people; without user and password. */
export function describeServer(parameters: ConnectionParameters): string {
  return parameters.hosts.map(describeHost).join(',');
}

export function describeHost({ host, port }: HostPort): string {
  if (host.startsWith('/')) return `${host}/.s.PGSQL.${port}`;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The same server and user, another database. */
export function withDatabase(parameters: ConnectionParameters, database: string): ConnectionParameters {
  return { ...parameters, database };
}

function fromKeywords(given: Readonly<Record<string, string>>, env: Environment): ConnectionParameters {
  const keywords = withDefaults(given, env);
  const user = keywords['user'] ?? env['USER'] ?? env['LOGNAME'];
  if (user === undefined || user === '')
    throw refuse('it names no user, and the environment has no USER either');
  const password = keywords['password'];
  const extra: Record<string, string> = {};
  for (const name of Object.keys(extraVariables)) {
    const value = keywords[name];
    if (value !== undefined && value !== '') extra[name] = value;
  }
  const database = keywords['dbname'];
  return {
    hosts: hostList(keywords['host'] ?? '', keywords['port'] ?? ''),
    user,
    database: database === undefined || database === '' ? user : database,
    password: password === undefined || password === '' ? undefined : new Secret(password),
    sslMode: choice('sslmode', keywords['sslmode'] ?? 'prefer', sslModes),
    targetSessionAttributes: choice(
      'target_session_attrs',
      keywords['target_session_attrs'] ?? 'any',
      sessionAttributes,
    ),
    connectTimeoutSeconds: wholeNumber('connect_timeout', keywords['connect_timeout'] ?? '15'),
    options: keywords['options'] ?? '',
    extra,
  };
}

function withDefaults(given: Readonly<Record<string, string>>, env: Environment): Record<string, string> {
  const keywords: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    if (name === 'ssl' && (value === 'true' || value === 'false')) {
      keywords['sslmode'] ??= value === 'true' ? 'require' : 'disable';
    } else if (name in coreVariables || name in extraVariables) {
      keywords[name] = value;
    } else if (!poolParameters.has(name)) {
      throw refuse(`the parameter ${name} is not known`);
    }
  }
  for (const [name, variable] of Object.entries({ ...coreVariables, ...extraVariables })) {
    const value = env[variable];
    if (keywords[name] === undefined && value !== undefined && value !== '') keywords[name] = value;
  }
  for (const [name, value] of Object.entries(keywords)) {
    if (value.includes('\0')) throw refuse(`${name} contains a zero byte`);
  }
  return keywords;
}

/** `a,b` with `1,2`, or with one port for all; as libpq pairs them. */
function hostList(hosts: string, ports: string): HostPort[] {
  const names = hosts === '' ? ['localhost'] : hosts.split(',');
  const numbers = ports === '' ? [] : ports.split(',');
  if (numbers.length > 1 && numbers.length !== names.length) {
    throw refuse(`it names ${names.length} hosts and ${numbers.length} ports`);
  }
  return names.map((host, index) => {
    const port = numbers.length === 1 ? numbers[0] : numbers[index];
    const number = port === undefined || port === '' ? 5432 : wholeNumber('port', port);
    if (number < 1 || number > 65_535) throw refuse(`${number} is not a port`);
    return { host: host === '' ? 'localhost' : host, port: number };
  });
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw refuse(`${name} is not a whole number`);
  return Number(text);
}

function choice<T extends string>(name: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw refuse(`${name} must be one of ${allowed.join(', ')}`);
  return found;
}

function refuse(reason: string): Error {
  return failure('postgres_url', { reason });
}

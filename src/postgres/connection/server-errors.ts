import { failure, isFailure, reasonOf, type HoldfastError } from '../../kernel/errors/failure.ts';
import type { Secret } from '../../kernel/secret.ts';
import { quoteIdentifier, readableIdentifier } from '../names.ts';
import { installCommands } from '../tools.ts';

/** What is known about the conversation in which an error came up. */
export interface ServerSetting {
  /** As `describeServer` gives it. */
  readonly server: string;
  readonly user: string;
  readonly database: string;
  readonly password: Secret | undefined;
  /** None was given, nor found in the password file. */
  readonly passwordMissing?: boolean | undefined;
  /** How long locks were waited for; for the message only. */
  readonly lockWaitMs?: number | undefined;
}

/**
 * Removes a password from text that came from a tool or the server. A short one is removed only where it stands as a
 * word of its own: taking every `w` out of a message would garble it, and tell what the password is.
 */
export function scrub(text: string, password: Secret | undefined): string {
  const value = password?.reveal() ?? '';
  if (value === '') return text;
  const forms = value.isWellFormed() ? [value, encodeURIComponent(value)] : [value];
  return forms.reduce((clean, form) => {
    if (form.length >= 8) return clean.replaceAll(form, '***');
    const word = form.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
    return clean.replaceAll(new RegExp(`(?<![\\p{L}\\p{N}_])${word}(?![\\p{L}\\p{N}_])`, 'gu'), '***');
  }, text);
}

/** Any error of node-postgres or of the network underneath, as one of the catalogue. */
export function serverFailure(error: unknown, setting: ServerSetting): HoldfastError {
  if (isFailure(error)) return error;
  const fields = (typeof error === 'object' && error !== null ? error : {}) as Record<string, unknown>;
  const code = typeof fields['code'] === 'string' ? fields['code'] : '';
  const errors = error instanceof AggregateError ? error.errors : [];
  const text = oneLine(errors.length > 0 ? errors.map(reasonOf).join('; ') : reasonOf(error));
  const reason = scrub(text, setting.password);
  return (
    fromNetworkCode(code, reason, setting, fields) ??
    fromMessage(text, setting) ??
    fromSqlState(code, text, setting) ??
    failure('postgres_query_failed', {
      server: setting.server,
      reason,
      sqlstate: code === '' ? 'unknown' : code,
    })
  );
}

/** The end of a tool that failed, as one of the catalogue. `stderr` is what it printed. */
export function toolFailure(
  tool: string,
  exit: { readonly code: number | null; readonly signal: string | null; readonly stderr: string },
  setting: ServerSetting,
): HoldfastError {
  const found = fromMessage(exit.stderr, setting) ?? fromToolText(tool, exit.stderr, setting);
  if (found !== undefined) return found;
  const stderr = scrub(exit.stderr, setting.password).trim();
  const status = exit.signal === null ? `exit ${exit.code ?? '?'}` : `ended by ${exit.signal}`;
  return failure(
    'postgres_tool_failed',
    { tool, status, reason: toolReason(stderr) },
    { details: { stderr: stderr.slice(-4_000) } },
  );
}

/** The lines of a tool that say what is wrong, without its name before each. */
export function toolReason(stderr: string): string {
  const lines = stderr.split('\n').map((line) => line.replace(/^\w+: (?:error: )?/, '').trim());
  const telling = lines.filter((line) => line !== '' && !/^(?:hint:|detail: Query was)/i.test(line));
  return oneLine(telling.slice(0, 4).join(' ')).slice(0, 600) || 'it printed nothing';
}

function fromNetworkCode(
  code: string,
  reason: string,
  setting: ServerSetting,
  fields: Readonly<Record<string, unknown>>,
): HoldfastError | undefined {
  const { server } = setting;
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return failure('postgres_host_unknown', {
        host: typeof fields['hostname'] === 'string' ? fields['hostname'] : server,
      });
    case 'ECONNREFUSED':
    case 'ENOENT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
    case 'EACCES':
      return failure('postgres_refused', { server, reason, isready: isreadyArguments(setting) });
    case 'ECONNRESET':
    case 'EPIPE':
      return failure('postgres_server_gone', { server, reason });
    default:
      return undefined;
  }
}

function fromSqlState(code: string, text: string, setting: ServerSetting): HoldfastError | undefined {
  const { server, user, database } = setting;
  const reason = scrub(text, setting.password);
  switch (code) {
    case '28P01':
      return passwordFailure(text, setting);
    case '28000':
      return roleFailure(text, setting) ?? failure('postgres_hba', { server, user, reason });
    case '55000':
      return notAccepting(text, setting);
    case '3D000':
      return failure('postgres_database_missing', { database, server });
    case '53300':
      return failure('postgres_too_many_connections', { server, reason });
    case '53100':
      return failure('postgres_disk_full', { server, reason });
    case '57P03':
      return failure('postgres_refused', { server, reason, isready: isreadyArguments(setting) });
    case '57P01':
    case '57P02':
    case '08006':
    case '08003':
      return failure('postgres_server_gone', { server, reason });
    case '42501':
      return permission(text, setting);
    case '55P03':
      return lockTimeout('a table', setting);
    default:
      return undefined;
  }
}

/** Past pg_hba.conf, and no role that may come in. */
function roleFailure(text: string, { server, user }: ServerSetting): HoldfastError | undefined {
  if (/role ".*" does not exist/.test(text)) return failure('postgres_role_missing', { server, user });
  if (!/role ".*" is not permitted to log in/.test(text)) return undefined;
  return failure('postgres_role_login', { server, user, quoted: quoteIdentifier(user) });
}

function notAccepting(text: string, { server, database }: ServerSetting): HoldfastError | undefined {
  if (!/is not currently accepting connections/.test(text)) return undefined;
  return failure('postgres_not_accepting', { server, database, quoted: quoteIdentifier(database) });
}

/** What only the wording tells: tools print no SQLSTATE, and the client library has errors without one. */
function fromMessage(text: string, setting: ServerSetting): HoldfastError | undefined {
  const { server, user, database } = setting;
  const reason = scrub(
    firstMatch(text, /(?:FATAL|ERROR|error):\s+(.*)/) ?? oneLine(text).slice(0, 400),
    setting.password,
  );
  if (
    /password authentication failed|no password supplied|password must be a string|empty password returned/i.test(
      text,
    )
  ) {
    return passwordFailure(text, setting);
  }
  if (/no pg_hba\.conf entry|pg_hba\.conf rejects/.test(text))
    return failure('postgres_hba', { server, user, reason });
  if (/(?:peer|ident|GSSAPI|SSPI|certificate|LDAP|RADIUS|PAM) authentication failed/i.test(text)) {
    return failure('postgres_hba', { server, user, reason });
  }
  // Of a restore, GRANT says the same as an ERROR about other roles.
  const refusal = firstMatch(text, /FATAL:\s+(role .*)/);
  const byRole = refusal === undefined ? undefined : roleFailure(refusal, setting);
  if (byRole !== undefined) return byRole;
  if (/^(?:.*FATAL:\s+)?database ".*" does not exist$/m.test(text))
    return failure('postgres_database_missing', { database, server });
  if (
    /unsupported startup parameter|no such database: pgbouncer|prepared statement .* pgbouncer/i.test(text)
  ) {
    return failure('postgres_pooler', { server, reason });
  }
  if (/too many clients already|remaining connection slots|too many connections for/.test(text)) {
    return failure('postgres_too_many_connections', { server, reason });
  }
  if (
    /does not support SSL|self[- ]signed certificate|unable to verify the first certificate|certificate (?:verify failed|has expired)|Hostname\/IP does not match|root certificate file|server certificate/i.test(
      text,
    )
  ) {
    return failure('postgres_tls', { server, reason });
  }
  if (/could not translate host name/.test(text)) {
    return failure('postgres_host_unknown', { host: firstMatch(text, /host name "([^"]*)"/) ?? server });
  }
  if (
    /server closed the connection unexpectedly|terminating connection|Connection terminated|connection to server was lost|the database system is shutting down/i.test(
      text,
    )
  ) {
    return failure('postgres_server_gone', { server, reason });
  }
  if (
    /Connection refused|No such file or directory\s+Is the server running|the database system is starting up|timeout expired/i.test(
      text,
    )
  ) {
    return failure('postgres_refused', { server, reason, isready: isreadyArguments(setting) });
  }
  if (/No space left on device|could not extend file|disk full/i.test(text))
    return failure('postgres_disk_full', { server, reason });
  return undefined;
}

function passwordFailure(text: string, setting: ServerSetting): HoldfastError {
  const { server, user } = setting;
  const isMissing =
    setting.passwordMissing === true || /no password supplied|password must be a string/i.test(text);
  if (!isMissing) return failure('postgres_password', { server, user });
  const [, host = '', port = '5432'] = hostAndPort(server) ?? [];
  // In that file a socket goes by localhost, and a colon has a backslash before it.
  const name = host.startsWith('/') ? 'localhost' : host.replaceAll(':', String.raw`\:`);
  const role = user.replaceAll(/[\\:]/g, String.raw`\$&`);
  return failure('postgres_password_missing', { server, user, line: `${name}:${port}:*:${role}:PASSWORD` });
}

function fromToolText(tool: string, text: string, setting: ServerSetting): HoldfastError | undefined {
  const { user, database } = setting;
  if (tool === 'pg_restore') return fromRestoreText(text, setting);
  const rowSecurity = firstMatch(
    text,
    /query would be affected by row-level security policy for table "((?:[^"]|"")*)"/,
  );
  if (rowSecurity !== undefined) {
    return failure('postgres_row_security', {
      object: `table ${tableOf(text) ?? rowSecurity}`,
      user,
      role: quoteIdentifier(user),
    });
  }
  if (/permission denied/.test(text)) return permission(text, setting);
  if (/canceling statement due to (?:statement|lock) timeout/.test(text)) {
    return lockTimeout(firstMatch(text, /LOCK TABLE (?:ONLY )?(.*?) IN ACCESS SHARE/s) ?? 'a table', setting);
  }
  // What pg_dump had found in the catalogue was dropped before it could lock or read it.
  const gone = firstMatch(
    text,
    /ERROR:\s+((?:relation|schema|sequence) .* does not exist|could not open relation with OID .*|cache lookup failed .*)/,
  );
  if (tool === 'pg_dump' && gone !== undefined)
    return failure('postgres_schema_moved', { database, reason: scrub(gone, setting.password) });
  const mismatch = /server version: (\S+);.*pg_dump version: (\S+)/s.exec(text);
  if (mismatch !== null) {
    const needed = Number.parseInt(mismatch[1] ?? '', 10);
    return failure('postgres_tool_too_old', {
      tool,
      found: mismatch[2] ?? '?',
      needed,
      what: `the server's version ${mismatch[1] ?? '?'}`,
      install: installCommands(needed),
    });
  }
  return undefined;
}

function fromRestoreText(text: string, setting: ServerSetting): HoldfastError | undefined {
  const { user, database } = setting;
  const refused = firstMatch(
    text,
    /ERROR:\s+(permission denied .*|must be (?:owner|member|superuser|able to) .*)/,
  );
  if (refused === undefined) return undefined;
  return failure('postgres_restore_permission', {
    user,
    database,
    reason: scrub(refused, setting.password),
    mend: mendOwners(user),
  });
}

/** What to do when objects cannot be given to their owners. */
export function mendOwners(user: string): string {
  return `restore as a superuser or as a member of every owner (GRANT the owner TO ${quoteIdentifier(user)}); or without owners and grants: --no-owner --no-privileges`;
}

function permission(text: string, setting: ServerSetting): HoldfastError {
  const { user, database } = setting;
  // The server writes the bare name, without the schema before it, and puts quotes around that of a database only.
  const denied = /permission denied for ((?:materialized |large |foreign )?\w+) ([^\n]+)/.exec(text);
  const kind = denied?.[1] ?? 'object';
  const bare = kind === 'database' ? denied?.[2]?.replace(/^"(.*)"$/, '$1') : denied?.[2];
  const named = bare === undefined ? undefined : (nameIn(text, bare) ?? asWritten(kind, bare));
  return failure('postgres_permission', {
    user,
    object: named === undefined ? scrub(oneLine(text).slice(0, 300), setting.password) : `${kind} ${named}`,
    database,
    grant: grantFor(kind, named ?? '…', quoteIdentifier(user)),
  });
}

function grantFor(kind: string, name: string, role: string): string {
  // pg_read_all_data covers neither large objects nor connecting.
  if (kind === 'large object')
    return `GRANT SELECT ON LARGE OBJECT ${name} TO ${role}; for each of them, or back up as a superuser`;
  if (kind === 'database') return `GRANT CONNECT ON DATABASE ${name} TO ${role};`;
  const one = kind === 'schema' ? `GRANT USAGE ON SCHEMA ${name}` : `GRANT SELECT ON ${name}`;
  return `${one} TO ${role}; or for everything: GRANT pg_read_all_data TO ${role};`;
}

const identifier = String.raw`(?:"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*)`;
const qualifiedName = new RegExp(String.raw`${identifier}\.(${identifier})`, 'gu');

/** The qualified name, as SQL writes it, that stands for a bare one in the query a tool quotes after its error. */
function nameIn(text: string, bare: string): string | undefined {
  const query = firstMatch(text, /Query was: ([^]*)/) ?? firstMatch(text, /\n([^]*)/) ?? '';
  const found = query.matchAll(qualifiedName).find(([, last = '']) => unquoted(last) === bare);
  return found?.[0];
}

/** A large object is a number; any other name is quoted where SQL wants it so. */
function asWritten(kind: string, name: string): string {
  return kind === 'large object' ? name : readableIdentifier(name);
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

/** The table that the query a tool quotes after its error reads. */
function tableOf(text: string): string | undefined {
  const query = firstMatch(text, /Query was: ([^]*)/);
  return query?.match(qualifiedName)?.[0];
}

function lockTimeout(object: string, setting: ServerSetting): HoldfastError {
  const list = object.includes(', ') ? 'a table' : object;
  return failure('postgres_lock_timeout', {
    seconds: Math.round((setting.lockWaitMs ?? 0) / 1000),
    object: list,
    database: setting.database,
    holder: 'another session',
    pid: 'pid',
  });
}

/** What to give pg_isready. */
export function isreadyArguments(setting: ServerSetting): string {
  const match = hostAndPort(setting.server);
  return match === null ? '' : `-h ${match[1] ?? ''} -p ${match[2] ?? ''}`;
}

function hostAndPort(server: string): RegExpExecArray | null {
  return /^\[?(.*?)\]?(?::|\/\.s\.PGSQL\.)(\d+)$/.exec(server);
}

function firstMatch(text: string, pattern: RegExp): string | undefined {
  return pattern.exec(text)?.[1];
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}

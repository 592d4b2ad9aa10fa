import { isFailure, type HoldfastError } from '../../kernel/errors/failure.ts';
import { quoteIdentifier } from '../../postgres/names.ts';
import type { Session } from '../../postgres/connection/session.ts';
import { isName, isWord, splitStatements, type Statement } from './sql-statements.ts';

export interface RoleDefinition {
  readonly name: string;
  /** `ALTER ROLE name WITH …`, with attributes and perhaps the password. */
  readonly alter: Statement | undefined;
  /** `ALTER ROLE name SET …`, comments and labels. */
  readonly more: readonly Statement[];
}

export interface Globals {
  readonly roles: readonly RoleDefinition[];
  /** `GRANT role TO member …`. */
  readonly memberships: readonly {
    readonly role: string;
    readonly member: string;
    readonly statement: Statement;
  }[];
  /** `GRANT … ON PARAMETER … TO role`; the role may be `public`. */
  readonly parameterGrants: readonly { readonly role: string; readonly statement: Statement }[];
  readonly tablespaces: readonly string[];
}

/** Takes the output of `pg_dumpall --globals-only` apart. */
export function parseGlobals(sql: string): Globals {
  const roles = new Map<string, { name: string; alter: Statement | undefined; more: Statement[] }>();
  const memberships: Globals['memberships'][number][] = [];
  const parameterGrants: Globals['parameterGrants'][number][] = [];
  const tablespaces: string[] = [];
  for (const statement of splitStatements(sql)) {
    const [verb, kind, name] = statement.tokens;
    if (isWord(verb, 'create') && isWord(kind, 'role') && isName(name)) {
      roles.set(name.value, { name: name.value, alter: undefined, more: [] });
    } else if (isWord(verb, 'alter') && isWord(kind, 'role') && isName(name)) {
      const role = roles.get(name.value);
      // `ALTER ROLE r IN DATABASE d SET …` belongs to a database, which has it in its own archive.
      if (role === undefined || isWord(statement.tokens[3], 'in')) continue;
      if (isWord(statement.tokens[3], 'with')) role.alter = statement;
      else role.more.push(statement);
    } else if (isWord(verb, 'grant')) {
      const to = statement.tokens.findIndex((token) => isWord(token, 'to'));
      const member = statement.tokens[to + 1];
      if (to === 2 && isName(kind) && isName(member))
        memberships.push({ role: kind.value, member: member.value, statement });
      else if (to > 2 && statement.tokens.some((token) => isWord(token, 'parameter')) && isName(member))
        parameterGrants.push({ role: member.value, statement });
    } else if (isWord(verb, 'create') && isWord(kind, 'tablespace') && isName(name)) {
      tablespaces.push(name.value);
    } else if (isWord(verb, 'comment') && isWord(statement.tokens[2], 'role')) {
      roles.get(statement.tokens[3]?.value ?? '')?.more.push(statement);
    }
  }
  return { roles: [...roles.values()], memberships, parameterGrants, tablespaces };
}

/** Attributes by the keyword that sets them and the column that shows them. */
const attributes: readonly [string, string][] = [
  ['superuser', 'rolsuper'],
  ['inherit', 'rolinherit'],
  ['createrole', 'rolcreaterole'],
  ['createdb', 'rolcreatedb'],
  ['login', 'rolcanlogin'],
  ['replication', 'rolreplication'],
  ['bypassrls', 'rolbypassrls'],
];

/** What to know of roles that a backup without the hashes of passwords makes: those that were to log in cannot. */
export function withoutPassword({ roles }: Globals, toCreate: readonly string[]): string[] {
  return roles.flatMap(({ name, alter }) => {
    const words = alter?.tokens ?? [];
    const logsIn = words.some((token) => isWord(token, 'login'));
    if (!logsIn || !toCreate.includes(name) || words.some((token) => isWord(token, 'password'))) return [];
    return [
      `role ${name} cannot log in by password until it gets one: ALTER ROLE ${quoteIdentifier(name)} PASSWORD '…'`,
    ];
  });
}

/**
 * Makes the roles that are missing, in one transaction, with their passwords, settings and memberships. Roles that
 * exist are left as they are; each difference is a warning.
 */
export async function restoreGlobals(
  sql: string,
  session: Session,
): Promise<{ created: string[]; warnings: string[] }> {
  const globals = parseGlobals(sql);
  const existing = await session.query<Record<string, unknown> & { rolname: string }>(
    'SELECT * FROM pg_catalog.pg_roles',
  );
  const byName = new Map(existing.map((role) => [role.rolname, role]));
  const missing = globals.roles.filter(({ name }) => !byName.has(name));
  const created = new Set(missing.map(({ name }) => name));
  const warnings: string[] = [];
  await session.query('BEGIN');
  try {
    for (const { name } of missing) await session.query(`CREATE ROLE ${quoteIdentifier(name)}`);
    for (const { alter, more } of missing) {
      for (const statement of alter === undefined ? more : [alter, ...more])
        await session.query(statement.text);
    }
    for (const { role, member, statement } of globals.memberships) {
      if (!created.has(member) && !created.has(role)) continue;
      await grantMembership(session, role, member, statement, warnings);
    }
    for (const { role, statement } of globals.parameterGrants) {
      if (!created.has(role)) continue;
      const refused = await attempt(session, statement.text);
      if (refused !== undefined) warnings.push(`not granted: ${statement.text} (${refused.message})`);
    }
    await session.query('COMMIT');
  } catch (error) {
    await session.query('ROLLBACK');
    throw error;
  }
  for (const { name, alter } of globals.roles) {
    const role = byName.get(name);
    const differing = role === undefined || alter === undefined ? [] : differences(alter, role);
    if (differing.length > 0)
      warnings.push(
        `role ${name} exists and differs from the backup (there: ${differing.join(', ')}); it was left as it is`,
      );
  }
  if (globals.tablespaces.length > 0) {
    warnings.push(`tablespaces are not made by a restore: ${globals.tablespaces.join(', ')}`);
  }
  return { created: [...created], warnings };
}

/**
 * First as it was, then without naming who granted it: that role may not be allowed to here. Servers before 16 know no
 * options but ADMIN; the others are left out there unless that would give more rights than there were.
 */
async function grantMembership(
  session: Session,
  role: string,
  member: string,
  statement: Statement,
  warnings: string[],
): Promise<void> {
  if ((await attempt(session, statement.text)) === undefined) return;
  const { text, tokens } = statement;
  const granted = tokens.find((token, index) => index > 3 && isWord(token, 'granted'));
  const options = tokens.filter(
    (token, index) => index > 3 && (granted === undefined || token.start < granted.start),
  );
  let refused = await attempt(session, text.slice(0, granted?.start));
  const has = (word: string): boolean => options.some((token) => isWord(token, word));
  if (refused !== undefined && session.serverVersionNumber < 160_000 && !has('false')) {
    const admin = has('admin') ? ' WITH ADMIN OPTION' : '';
    refused = await attempt(session, `GRANT ${quoteIdentifier(role)} TO ${quoteIdentifier(member)}${admin}`);
    if (refused === undefined)
      warnings.push(
        `${member} was made a member of ${role} without the options this server does not know: ${text}`,
      );
  }
  if (refused !== undefined) warnings.push(`${member} was not made a member of ${role}: ${refused.message}`);
}

/** Runs a statement within the transaction; one that is refused is undone, and its error is the answer. */
async function attempt(session: Session, sql: string): Promise<HoldfastError | undefined> {
  await session.query('SAVEPOINT attempt');
  try {
    await session.query(sql);
    await session.query('RELEASE SAVEPOINT attempt');
    return undefined;
  } catch (error) {
    if (!isFailure(error)) throw error;
    await session.query('ROLLBACK TO SAVEPOINT attempt');
    return error;
  }
}

/** What the backup says of the role that is not so on the server. */
function differences(alter: Statement, role: Readonly<Record<string, unknown>>): string[] {
  const words = new Set(alter.tokens.filter(({ kind }) => kind === 'word').map(({ value }) => value));
  return attributes.flatMap(([word, column]) => {
    const wanted = words.has(word) ? true : words.has(`no${word}`) ? false : undefined;
    return wanted === undefined || wanted === role[column]
      ? []
      : [(wanted ? word : `no${word}`).toUpperCase()];
  });
}

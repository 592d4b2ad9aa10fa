import { quoteIdentifier } from '../../postgres/names.ts';

/** A piece of SQL text that is not white space or a comment. */
export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'other';
  /** A word in lower case, the plain name of a quoted identifier, else as written. */
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

export interface Statement {
  /** Without the semicolon. */
  readonly text: string;
  /** Positions are within `text`. */
  readonly tokens: readonly Token[];
}

const patterns: readonly [Token['kind'] | 'skip', RegExp][] = [
  ['skip', /\s+|--[^\n]*|\\(?:un)?restrict[^\n]*|\\connect[^\n]*/y],
  ['string', /[eE]'(?:[^'\\]|\\[^]|'')*'|[uU]?&?'(?:[^']|'')*'/y],
  ['string', /(\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$)[^]*?\1/uy],
  ['quoted', /"(?:[^"]|"")*"/y],
  ['word', /[\p{L}_][\p{L}\p{N}_$]*/uy],
  ['other', /[^]/y],
];

/** Takes what the tools of PostgreSQL write (standard conforming strings, one command after the other) apart. */
export function splitStatements(sql: string): Statement[] {
  const statements: Statement[] = [];
  let tokens: Token[] = [];
  let at = 0;
  const endStatement = (): void => {
    const first = tokens[0];
    const last = tokens.at(-1);
    if (first !== undefined && last !== undefined) {
      const shifted = tokens.map((token) => ({
        ...token,
        start: token.start - first.start,
        end: token.end - first.start,
      }));
      statements.push({ text: sql.slice(first.start, last.end), tokens: shifted });
    }
    tokens = [];
  };
  while (at < sql.length) {
    const token = nextToken(sql, at);
    at = token.end;
    if (token.kind === 'skip') continue;
    if (token.kind === 'other' && token.value === ';') endStatement();
    else tokens.push({ ...token, kind: token.kind });
  }
  endStatement();
  return statements;
}

function nextToken(sql: string, start: number): Omit<Token, 'kind'> & { kind: Token['kind'] | 'skip' } {
  for (const [kind, pattern] of patterns) {
    pattern.lastIndex = start;
    const text = pattern.exec(sql)?.[0];
    if (text === undefined || text === '') continue;
    const value =
      kind === 'word'
        ? text.toLowerCase()
        : kind === 'quoted'
          ? text.slice(1, -1).replaceAll('""', '"')
          : text;
    return { kind, value, start, end: start + text.length };
  }
  return { kind: 'other', value: sql.slice(start, start + 1), start, end: start + 1 };
}

export function isWord(token: Token | undefined, word: string): boolean {
  return token?.kind === 'word' && token.value === word;
}

export function isName(token: Token | undefined): token is Token {
  return token?.kind === 'word' || token?.kind === 'quoted';
}

/** The statement with the name after its first `DATABASE` replaced: ALTER, GRANT, COMMENT ON, SECURITY LABEL … */
export function withDatabaseName(statement: Statement, name: string): string | undefined {
  const [verb, kind] = statement.tokens;
  // `ALTER ROLE database IN DATABASE …`: a role may have that name.
  const from = isWord(verb, 'alter') && isWord(kind, 'role') ? 3 : 0;
  const at = statement.tokens.findIndex((token, index) => index >= from && isWord(token, 'database'));
  const old = statement.tokens[at + 1];
  if (at === -1 || !isName(old)) return undefined;
  return statement.text.slice(0, old.start) + quoteIdentifier(name) + statement.text.slice(old.end);
}

/** Roles that a GRANT, REVOKE or ALTER DEFAULT PRIVILEGES speaks of; `public` is none. */
export function rolesIn(statement: Statement): string[] {
  const { tokens } = statement;
  const roles: string[] = [];
  tokens.forEach((token, index) => {
    const before = tokens[index - 1];
    const named =
      isWord(before, 'to') ||
      isWord(before, 'from') ||
      isWord(before, 'role') ||
      isWord(before, 'authorization');
    if (named && isName(token) && !isWord(token, 'public') && !isWord(token, 'default'))
      roles.push(token.value);
  });
  return roles;
}

/** `[schema, table]` of the table that an ALTER TABLE statement is about. */
export function alteredTable(definition: string): readonly [string, string] | undefined {
  const [statement] = splitStatements(definition);
  const tokens = statement?.tokens ?? [];
  if (!isWord(tokens[0], 'alter') || (!isWord(tokens[1], 'table') && !isWord(tokens[2], 'table')))
    return undefined;
  let at = tokens.findIndex((token) => isWord(token, 'table')) + 1;
  if (isWord(tokens[at], 'only')) at += 1;
  const schema = tokens[at];
  const table = tokens[at + 2];
  if (!isName(schema) || tokens[at + 1]?.value !== '.' || !isName(table)) return undefined;
  return [schema.value, table.value];
}

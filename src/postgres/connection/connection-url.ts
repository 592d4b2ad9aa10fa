import { failure } from '../../kernel/errors/failure.ts';

/**
 * Takes a connection URL apart into libpq keywords:
 * `postgres://user:password@host1:1,[::1]:2/database?sslmode=require&host=/var/run/postgresql`.
 * Written by hand because the URL class knows neither several hosts nor an empty one with a user.
 *
 * Throws `postgres_url`, whose text never repeats any part that could be a password.
 */
export function parseConnectionUrl(url: string): Record<string, string> {
  const scheme = /^postgres(?:ql)?:\/\//i.exec(url);
  if (scheme === null) throw refuse('it does not start with postgres://');
  const rest = url.slice(scheme[0].length);
  const [beforeQuery, query] = cut(rest, '?');
  if (query?.includes('@') === true && !beforeQuery.includes('@')) {
    throw refuse('a ? inside the user or the password must be written %3F');
  }
  const hostsAt = beforeQuery.lastIndexOf('@') + 1;
  const pathAt = beforeQuery.indexOf('/', hostsAt);
  const authority = pathAt === -1 ? beforeQuery : beforeQuery.slice(0, pathAt);
  const path = pathAt === -1 ? '' : beforeQuery.slice(pathAt + 1);
  if (path.includes('/')) throw refuse('there is more than one / after the host');

  const keywords: Record<string, string> = {};
  const at = authority.lastIndexOf('@');
  if (at !== -1) {
    const [user, password] = cut(authority.slice(0, at), ':');
    if (user !== '') keywords['user'] = decode(user, 'the user');
    if (password !== undefined && password !== '') keywords['password'] = decode(password, 'the password');
  }
  Object.assign(keywords, parseHosts(authority.slice(at + 1)));
  if (path !== '') keywords['dbname'] = decode(path, 'the database');
  if (query !== undefined) Object.assign(keywords, parseQuery(query));
  return keywords;
}

function parseHosts(list: string): Record<string, string> {
  if (list === '') return {};
  const hosts: string[] = [];
  const ports: string[] = [];
  for (const item of list.split(',')) {
    const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d*))?$/.exec(item);
    if (match === null) throw refuse('a host or its port does not parse (an IPv6 address needs brackets)');
    hosts.push(decode(match[1] ?? match[2] ?? '', 'a host'));
    ports.push(match[3] ?? '');
  }
  return ports.every((port) => port === '')
    ? { host: hosts.join(',') }
    : { host: hosts.join(','), port: ports.join(',') };
}

function parseQuery(query: string): Record<string, string> {
  const keywords: Record<string, string> = {};
  for (const pair of query.split('&')) {
    if (pair === '') continue;
    const [name, value] = cut(pair, '=');
    if (value === undefined) throw refuse('a parameter after ? has no =');
    const key = decode(name, 'a parameter');
    if (keywords[key] !== undefined) throw refuse(`the parameter ${key} is given twice`);
    keywords[key] = decode(value, `the parameter ${key}`);
  }
  return keywords;
}

function cut(text: string, separator: string): [string, string | undefined] {
  const index = text.indexOf(separator);
  return index === -1 ? [text, undefined] : [text.slice(0, index), text.slice(index + 1)];
}

function decode(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError)
      throw refuse(`${what} has a % that is not followed by two hexadecimal digits of UTF-8`);
    throw error;
  }
}

function refuse(reason: string): Error {
  return failure('postgres_url', { reason });
}

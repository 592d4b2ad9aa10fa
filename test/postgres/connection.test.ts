import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { HoldfastError } from '../../src/kernel/errors/failure.ts';
import { Secret } from '../../src/kernel/secret.ts';
import {
  connectionFromEnvironment,
  connectionFromFields,
  connectionFromUrl,
  describeServer,
} from '../../src/postgres/connection/connection.ts';
import { childEnvironment } from '../../src/postgres/connection/session.ts';

const none = { USER: 'me' };

describe('a PostgreSQL connection', () => {
  it('is read from a URL with everything in it', () => {
    const found = connectionFromUrl(
      'postgresql://us%40er:p%2F%3A%25w@db.example:6543/my%20db?sslmode=verify-full&sslrootcert=/ca.pem&connect_timeout=3&options=-c%20a%3Db',
      {},
    );
    assert.equal(found.password?.reveal(), 'p/:%w');
    const { password: _, ...rest } = found;
    assert.deepEqual(rest, {
      hosts: [{ host: 'db.example', port: 6543 }],
      user: 'us@er',
      database: 'my db',
      sslMode: 'verify-full',
      targetSessionAttributes: 'any',
      connectTimeoutSeconds: 3,
      options: '-c a=b',
      extra: { sslrootcert: '/ca.pem' },
    });
  });

  const hosts: readonly [string, string][] = [
    ['postgres://h/d', 'h:5432'],
    ['postgres://[::1]:5433/d', '[::1]:5433'],
    ['postgres://[fe80::1]/d', '[fe80::1]:5432'],
    ['postgres://a,b:2,[::2]:3/d', 'a:5432,b:2,[::2]:3'],
    ['postgres:///d?host=/var/run/postgresql', '/var/run/postgresql/.s.PGSQL.5432'],
    ['postgres://u@/d?host=/tmp&port=7', '/tmp/.s.PGSQL.7'],
    ['postgres://%2Fvar%2Frun/d', '/var/run/.s.PGSQL.5432'],
    ['postgres:///d?host=a,b&port=1,2', 'a:1,b:2'],
    ['postgres:///d?host=a,b&port=9', 'a:9,b:9'],
    ['postgres:///d', 'localhost:5432'],
  ];
  for (const [url, server] of hosts) {
    it(`finds ${server} in ${url}`, () => assert.equal(describeServer(connectionFromUrl(url, none)), server));
  }

  it('takes what the URL leaves open from PG* variables, and the URL before these', () => {
    const env = {
      PGHOST: 'e',
      PGPORT: '99',
      PGUSER: 'eu',
      PGPASSWORD: 'ep',
      PGDATABASE: 'ed',
      PGSSLMODE: 'require',
    };
    const found = connectionFromUrl('postgres://u@h/d', env);
    assert.equal(describeServer(found), 'h:99');
    assert.deepEqual(
      [found.user, found.database, found.password?.reveal(), found.sslMode],
      ['u', 'd', 'ep', 'require'],
    );
    assert.deepEqual(describeServer(connectionFromEnvironment(env)), 'e:99');
  });

  it('is put together from fields', () => {
    const found = connectionFromFields(
      {
        host: '/s',
        port: 1,
        user: 'u',
        password: new Secret('x'),
        database: 'd',
        parameters: { sslmode: 'disable' },
      },
      {},
    );
    assert.deepEqual(
      [describeServer(found), found.user, found.database, found.sslMode],
      ['/s/.s.PGSQL.1', 'u', 'd', 'disable'],
    );
  });

  it('names the database after the user when nobody names one', () => {
    assert.equal(connectionFromUrl('postgres://someone@h', {}).database, 'someone');
  });

  it('passes over what object-relational mappers add, and reads ssl=true', () => {
    const found = connectionFromUrl(
      'postgres://u@h/d?schema=public&connection_limit=5&pgbouncer=true&ssl=true',
      {},
    );
    assert.equal(found.sslMode, 'require');
  });

  const refused: readonly [string, RegExp][] = [
    ['mysql://h/d', /postgres:\/\//],
    ['postgres://u:secret@h:99999/d', /99999 is not a port/],
    ['postgres://u:secret@h:x/d', /does not parse/],
    ['postgres://u:secret@::1/d', /brackets/],
    ['postgres://u:secret@h/d/e', /more than one/],
    ['postgres://u:secret@h/d?sslmod=require', /sslmod is not known/],
    ['postgres://u:secret@h/d?sslmode=maybe', /sslmode must be one of/],
    ['postgres://u:secret@h/d?sslmode=require&sslmode=disable', /twice/],
    ['postgres://u:secret%zz@h/d', /the password has a %/],
    ['postgres://u:sec?ret=x@h/d', /%3F/],
    ['postgres://u:secret@a,b,c/d?port=1,2', /3 hosts and 2 ports/],
    ['postgres://u:secret@h/a%00b', /zero byte/],
    ['postgres:///d', /names no user/],
  ];
  for (const [url, reason] of refused) {
    it(`refuses ${url}, without its password`, () => {
      assert.throws(
        () => connectionFromUrl(url, {}),
        (error: unknown) => {
          assert.ok(error instanceof HoldfastError);
          assert.equal(error.code, 'HF-5018');
          assert.match(error.message, reason);
          assert.doesNotMatch(
            JSON.stringify(error) + inspect(error, { depth: 9 }).split('\n    at ')[0],
            /secret|ret=x/,
          );
          return true;
        },
      );
    });
  }

  it('carries any name and password through a URL, and shows the password nowhere', () => {
    const text = fc
      .string({ minLength: 1, unit: 'grapheme' })
      .filter((value) => !value.includes('\0') && value.isWellFormed());
    fc.assert(
      fc.property(text, text, text, (user, password, database) => {
        const [u, p, d] = [user, password, database].map(encodeURIComponent);
        const found = connectionFromUrl(`postgres://${u}:${p}@h/${d}`, {});
        assert.deepEqual([found.user, found.password?.reveal(), found.database], [user, password, database]);
        assert.match(JSON.stringify(found), /"password":"\*\*\*"/);
      }),
    );
  });

  it('gives child processes its own PG* variables and none of ours', () => {
    const child = childEnvironment(connectionFromUrl('postgres://u:pw@h:1/d?sslmode=disable', {}), {
      PATH: '/bin',
      PGDATABASE: 'other',
      PGSERVICE: 'x',
      AWS_SECRET_ACCESS_KEY: 'y',
      HOME: '/root',
    });
    assert.deepEqual(
      Object.keys(child)
        .filter((name) => !name.startsWith('PG'))
        .toSorted(),
      ['HOME', 'LC_ALL', 'PATH'],
    );
    assert.deepEqual(
      [child['PGDATABASE'], child['PGPASSWORD'], child['PGTZ'], child['PGSERVICE']],
      ['d', 'pw', 'UTC', undefined],
    );
  });
});

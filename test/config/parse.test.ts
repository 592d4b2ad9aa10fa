import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeOrigin } from '../../src/contract/config-layer.ts';
import { parse, postgresSource, refusal } from './parse-helper.ts';

describe('refusing', () => {
  it('names the nearest setting for an unknown one, with line and column', () => {
    const error = refusal('jobs: 2\nrepositry: x\n');
    assert.equal(error.errorName, 'config_unknown_key');
    assert.equal(error.exitCode, 2);
    assert.match(error.message, /^holdfast\.yaml:2:1: there is no setting repositry$/);
    assert.match(error.hint, /did you mean repository\?/);
  });

  it('names the nearest setting inside a source', () => {
    const error = refusal('sources:\n  shop:\n    type: postgres\n    pasword: x\n');
    assert.match(error.message, /^holdfast\.yaml:4:5: .*sources\.shop\.pasword/);
    assert.match(error.hint, /sources\.shop\.password\?/);
  });

  it('lists the settings of the type of a source only', () => {
    const { hint } = refusal('sources:\n  up:\n    type: files\n    paths: [/a]\n    xyz: 1\n');
    assert.match(hint, /^known here: .*\bone_file_system\b/);
    assert.doesNotMatch(hint, /password|lock_timeout|globals/);
  });

  it('tells the line and column of a YAML error and never quotes the line', () => {
    const error = refusal('jobs: 2\nlog: [hunter2\naudit: {}\n');
    assert.equal(error.errorName, 'config_syntax');
    assert.match(error.message, /^holdfast\.yaml:3:1: not YAML: /);
    assert.doesNotMatch(JSON.stringify(error), /hunter2/);
  });

  for (const [what, text, place] of [
    ['a key given twice', 'jobs: 1\njobs: 2\n', '2:1'],
    ['a tab', 'log:\n\tlevel: info\n', '2:'],
    ['a list at the top', '- jobs\n', '1:1'],
    ['two documents', 'jobs: 1\n---\njobs: 2\n', '2:1'],
    ['an unknown tag', 'jobs: !!js/function x\n', '1:7'],
    ['an alias without anchor', 'jobs: *many\n', '1:7'],
    ['an alias that contains itself', 'sources: &s\n  a: *s\n', '2:3'],
  ] as const) {
    it(`refuses ${what}`, () => {
      const error = refusal(text);
      assert.equal(error.errorName, 'config_syntax');
      assert.ok(error.message.startsWith(`holdfast.yaml:${place}`), error.message);
    });
  }

  it('says of what is planned that it is not in this version', () => {
    assert.equal(refusal('schedules: { shop: daily }\n').code, 'HF-1105');
  });

  for (const [what, text] of [
    ['passphrase and passphrase_file', 'encryption:\n  passphrase: a\n  passphrase_file: b\n'],
    ['url and host', 'sources: { a: { type: postgres, url: "postgres://x", host: y } }\n'],
    ['password and password_file', 'sources: { a: { type: postgres, password: x, password_file: y } }\n'],
    ['database and databases', 'sources: { a: { type: postgres, database: x, databases: [y] } }\n'],
    ['no codec and a level', 'compression: { codec: none, level: 3 }\n'],
  ] as const) {
    it(`refuses the contradiction of ${what}`, () =>
      assert.equal(refusal(text).errorName, 'config_contradiction'));
  }

  for (const text of [
    'repository: ""',
    'jobs:',
    'jobs: 0',
    'jobs: many',
    'jobs: 1.5',
    'log: { level: loud }',
    'log: { max_size: big }',
    'log: 3',
    'compression: { codec: gzip, level: 12 }',
    'sources: { a: { url: "postgres://x" } }',
    'sources: { a: { type: postgres, url: "mysql://x" } }',
    'sources: { a: { type: postgres, port: 0 } }',
    'sources: { a: { type: postgres, lock_timeout: 10 } }',
    'sources: { "a b": { type: postgres } }',
    'sources: { a: }',
    'encryption: { passphrase: "" }',
    'encryption: { passphrase: 1234 }',
  ]) {
    it(`refuses ${text}`, () => {
      const error = refusal(text);
      assert.equal(error.errorName, 'config_invalid');
      assert.match(error.message, /^holdfast\.yaml:1:\d+: /);
    });
  }

  it('says what is wanted in words, not in patterns or names of types', () => {
    for (const [text, wanted] of [
      ['log: { max_size: 10XB }', 'log.max_size: must be a size such as 10MB or 512KiB'],
      ['sources: [shop]', 'sources: must be a mapping, with a name and a colon before each value'],
      ['log: loud', 'log: must be a mapping of settings'],
    ] as const)
      assert.ok(refusal(text).message.endsWith(wanted), refusal(text).message);
  });

  it('names the types a source can have, and the one that seems to be meant', () => {
    for (const [source, guess] of [
      ['{ type: file, paths: [/x] }', 'files'],
      ['{ type: directory }', 'files'],
      ['{ type: postgresql, url: "postgres://h/d" }', 'postgres'],
      ['{ type: pg }', 'postgres'],
      ['{ type: sqlite3 }', 'sqlite'],
      ['{ url: "postgres://h/d" }', 'postgres'],
      ['{ url: "postgres://h/d", data_directory: /d }', 'postgres-cluster'],
      ['{ host: db, tags: { a: b } }', 'postgres'],
      ['{ paths: [/srv/uploads] }', 'files'],
      ['{ path: /srv/uploads }', 'files'],
      ['{ paths: [a.db, "data/*.sqlite"] }', 'sqlite'],
      ['{ paths: [a.db, uploads] }', 'files'],
      ['{ paths: [a.db], ignore_file: x }', 'files'],
      ['{ type: backup, paths: [/srv/uploads] }', 'files'],
    ] as const) {
      const { message, hint } = refusal(`sources: { a: ${source} }`);
      assert.match(
        message,
        /sources\.a\.type: .*must be postgres, postgres-cluster, sqlite or files$/,
        source,
      );
      assert.equal(hint, `did you mean ${guess}? Write type: ${guess}`, source);
    }
    for (const source of ['{ type: mysql, host: h }', '{ jobs: 2 }', '{}']) {
      const { message, hint } = refusal(`sources: { a: ${source} }`);
      assert.match(message, /must be postgres, postgres-cluster, sqlite or files$/, source);
      assert.match(hint, /^write type: postgres, postgres-cluster, sqlite or files; see docs/, source);
    }
    const { hint } = refusal(null, { HOLDFAST_SOURCES_U_PATHS: '/srv/app.db' });
    assert.equal(hint, 'did you mean sqlite? Set HOLDFAST_SOURCES_U_TYPE=sqlite');
  });

  it('says of a misspelt setting what it is, not that the right one is missing', () => {
    const { code, message, hint, details } = refusal('sources: { a: { type: files, path: /x } }');
    assert.equal(code, 'HF-1104');
    assert.match(message, /there is no setting sources\.a\.path$/);
    assert.match(hint, /^did you mean sources\.a\.paths\? It is a list: paths: \["\/srv\/uploads"\]\. /);
    assert.equal(details['problems'], undefined);
    const list = refusal('sources: { a: { type: sqlite, pahts: [/x.db] } }');
    assert.match(list.hint, /^did you mean sources\.a\.paths\? Known here: /);
    // Both are there: both are told.
    const both = refusal('sources: { a: { type: files, paths: 3, path: /x } }');
    assert.equal((both.details['problems'] as string[]).length, 2);
  });

  it('lists every problem in the details', () => {
    const { details } = refusal('jobs: 0\nlog: { level: loud }\nreposit: x\n');
    assert.equal((details['problems'] as string[]).length, 3);
  });
});

describe('interpolation', () => {
  it('takes variables inside quotes, plain values and flow mappings', () => {
    const parsed = parse(
      'encryption: { passphrase: ${PASS} }\nsources:\n  shop: { type: postgres, host: "${H}", port: ${P}, user: u${N:-1} }\n',
      { PASS: 'a: b # {c}', H: 'db', P: '6543' },
    );
    assert.equal(parsed.config.encryption.passphrase?.reveal(), 'a: b # {c}');
    const { host, port, user } = postgresSource(parsed, 'shop') ?? {};
    assert.deepEqual({ host, port, user }, { host: 'db', port: 6543, user: 'u1' });
  });

  it('uses the default for an unset and for an empty variable', () => {
    assert.equal(parse('jobs: ${J:-3}').config.jobs, 3);
    assert.equal(parse('jobs: ${J:-3}', { J: '' }).config.jobs, 3);
    assert.equal(parse('jobs: ${J:-3}', { J: '4' }).config.jobs, 4);
  });

  it('keeps $$ as a dollar sign and a lone $ as it is', () => {
    const { config } = parse('encryption: { passphrase: "a$$b$$${X}$c$${Y}" }', { X: '1' });
    assert.equal(config.encryption.passphrase?.reveal(), 'a$b$1$c${Y}');
  });

  it('does not look into comments', () =>
    assert.equal(parse('# ${NOPE}\njobs: 2 # ${NOPE}\n').config.jobs, 2));

  it('does not interpolate what a variable holds', () => {
    assert.equal(
      parse('encryption: { passphrase: "${X}" }', { X: '${Y}$$' }).config.encryption.passphrase?.reveal(),
      '${Y}$$',
    );
  });

  it('refuses a missing variable, naming the line', () => {
    const error = refusal('jobs: 1\nrepository: ${NOPE}\n');
    assert.equal(error.errorName, 'config_variable_missing');
    assert.match(error.message, /^holdfast\.yaml:2:13: the variable NOPE/);
    assert.match(error.hint, /\$\{NOPE:-value\}/);
  });

  it('refuses a malformed reference', () => {
    assert.equal(refusal('repository: "a${b"').errorName, 'config_interpolation');
    assert.equal(refusal('repository: "a${1}"').errorName, 'config_interpolation');
  });
});

describe('precedence', () => {
  const flag = { path: ['jobs'], value: '5', flag: '--jobs' };

  it('is flags, environment, file, default', () => {
    assert.equal(parse(null).config.jobs, 'auto');
    assert.equal(parse('jobs: 3').config.jobs, 3);
    assert.equal(parse('jobs: 3', { HOLDFAST_JOBS: '4' }).config.jobs, 4);
    assert.equal(refusal('jobs: 3', { HOLDFAST_JOBS: '4' }, [flag]).errorName, 'config_invalid');
    assert.equal(parse('jobs: 3', { HOLDFAST_JOBS: '4' }, [{ ...flag, value: 5 }]).config.jobs, 5);
  });

  it('remembers where each value came from', () => {
    const { origins } = parse('log:\n  level: warn\n', { HOLDFAST_JOBS: '4' }, [
      { path: ['repository'], value: '/r', flag: '--repo' },
    ]);
    assert.deepEqual(
      [['log', 'level'], ['jobs'], ['repository'], ['log', 'keep']].map((path) =>
        describeOrigin(origins.of(path)),
      ),
      ['holdfast.yaml:2:3', 'HOLDFAST_JOBS', '--repo', 'holdfast.yaml:1:1'],
    );
    assert.equal(origins.exact(['log', 'keep']), undefined);
  });

  it('lets a stronger place displace what its value excludes', () => {
    const passphrase = parse('encryption: { passphrase_file: /x }', { HOLDFAST_PASSPHRASE: 'p' }).config
      .encryption;
    assert.equal(passphrase.passphrase?.reveal(), 'p');
    assert.equal(passphrase.passphrase_file, undefined);
    const shop = parse('sources: { shop: { type: postgres, host: db } }', {
      HOLDFAST_SOURCES_SHOP_URL: 'postgres://e',
    });
    assert.equal(postgresSource(shop, 'shop')?.host, undefined);
  });
});

describe('the environment', () => {
  it('reaches a source whose name has a hyphen, and makes new ones', () => {
    const parsed = parse('sources: { my-shop: { type: postgres } }', {
      HOLDFAST_SOURCES_MY_SHOP_HOST: 'db',
      HOLDFAST_SOURCES_BLOG_PASSWORD_FILE: '~/p',
    });
    assert.equal(postgresSource(parsed, 'my-shop')?.host, 'db');
    assert.equal(postgresSource(parsed, 'blog')?.password_file, '/home/me/p');
  });

  it('refuses a misspelt variable of a source, and reports other unknown ones', () => {
    const error = refusal(null, { HOLDFAST_SOURCES_SHOP_PASWORD: 'hunter2' });
    assert.equal(error.errorName, 'config_unknown_key');
    assert.match(error.hint, /HOLDFAST_SOURCES_SHOP_PASSWORD\?/);
    assert.deepEqual(parse(null, { HOLDFAST_JOB: '1' }).unknownVariables, [
      { variable: 'HOLDFAST_JOB', nearest: 'HOLDFAST_JOBS' },
    ]);
    assert.deepEqual(parse('jobs: ${HOLDFAST_N}', { HOLDFAST_N: '1' }).unknownVariables, []);
  });

  it('is enough without a file: DATABASE_URL', () => {
    const parsed = parse(null, { DATABASE_URL: 'postgres://u:p%40@h/my%20shop?sslmode=require' });
    assert.deepEqual(Object.keys(parsed.config.sources), ['my-shop']);
    assert.equal(
      postgresSource(parsed, 'my-shop')?.url?.reveal(),
      'postgres://u:p%40@h/my%20shop?sslmode=require',
    );
  });

  it('is enough without a file: PG* variables', () => {
    const { config } = parse(null, { PGHOST: '/run', PGDATABASE: 'shop' });
    assert.deepEqual(Object.keys(config.sources), ['shop']);
  });

  it('implies no source where one is configured, or where DATABASE_URL is of something else', () => {
    const url = { DATABASE_URL: 'postgres://h/other' };
    assert.deepEqual(Object.keys(parse('sources: { a: { type: postgres } }', url).config.sources), ['a']);
    assert.deepEqual(Object.keys(parse(null, { DATABASE_URL: 'mysql://h/x' }).config.sources), []);
  });
});

describe('paths', () => {
  it('start at the file, the current directory or the home directory', () => {
    assert.equal(parse('repository: ./r').config.repository, '/etc/holdfast/r');
    assert.equal(parse('jobs: 1').config.repository, '/etc/holdfast/backups');
    assert.equal(parse(null).config.repository, '/work/backups');
    assert.equal(parse('repository: ./r', { HOLDFAST_REPOSITORY: 'e' }).config.repository, '/work/e');
    assert.equal(parse('repository: ~/r').config.repository, '/home/me/r');
    assert.equal(parse('repository: file:///r').config.repository, 'file:///r');
  });
});

describe('sources of files and SQLite', () => {
  it('resolve their paths from where they are written, and leave patterns of files as they are', () => {
    const { config } = parse(
      'sources:\n  a: { type: sqlite, paths: [".data/*.db", ~/x.db], exclude: [.data/c.db] }\n  u: { type: files, paths: [up], exclude: ["*.tmp"] }\n',
    );
    const { a, u } = config.sources;
    assert.deepEqual(a?.type === 'sqlite' && [a.paths, a.exclude], [
      ['/etc/holdfast/.data/*.db', '/home/me/x.db'],
      ['/etc/holdfast/.data/c.db'],
    ]);
    assert.deepEqual(u?.type === 'files' && [u.paths, u.exclude], [['/etc/holdfast/up'], ['*.tmp']]);
  });

  it('need a type and at least one path', () => {
    assert.match(refusal(null, { HOLDFAST_SOURCES_U_PATHS: '/a' }).message, /sources\.u\.type/);
    assert.match(refusal('sources: { u: { type: files, paths: [] } }').message, /at least one path/);
    assert.match(refusal('sources: { u: { type: sqlite } }').message, /sources\.u\.paths/);
  });
});

describe('retention', () => {
  it('is one for all, and one of a source alone, from the file or from variables', () => {
    const text = [
      'retention: { keep_daily: 7, keep_within: 1y6mo, keep_tags: [release], keep_wal: 14d }',
      'sources: { a-b: { type: files, paths: [/x], retention: { keep_last: 3 } }, c: { type: files, paths: [/y] } }',
      '',
    ].join('\n');
    const { config } = parse(text, {
      HOLDFAST_RETENTION_KEEP_DAILY: '9',
      HOLDFAST_SOURCES_A_B_RETENTION_KEEP_YEARLY: '2',
    });
    assert.deepEqual(config.retention, {
      keep_daily: 9,
      keep_within: '1y6mo',
      keep_tags: ['release'],
      keep_wal: '14d',
    });
    assert.deepEqual(config.sources['a-b']?.retention, { keep_last: 3, keep_yearly: 2 });
    assert.equal(config.sources['c']?.retention, undefined);
  });

  for (const [what, text, expected] of [
    [
      'a misspelt rule',
      'retention:\n  keep_dayly: 3\n',
      /2:3: .*keep_dayly.*did you mean retention\.keep_daily/,
    ],
    [
      'a misspelt rule of a source',
      'sources: { a: { type: files, paths: [/x], retention: { keep_weeky: 3 } } }\n',
      /did you mean sources\.a\.retention\.keep_weekly/,
    ],
    [
      'a window of WAL where there is none',
      'sources: { a: { type: files, paths: [/x], retention: { keep_wal: 3d } } }\n',
      /keep_wal/,
    ],
    ['less than nothing', 'retention: { keep_last: -1 }\n', /must be at least 0/],
    ['m, which is no unit', 'retention: { keep_within: 6m }\n', /write mo for months/],
    ['a time zone that is none', 'timezone: Europe/Berln\n', /must be the name of a time zone/],
  ] as const)
    it(`refuses ${what}`, () => {
      const error = refusal(text);
      assert.match(`${error.message}\n${error.hint}`, new RegExp(expected.source, 's'));
    });
});

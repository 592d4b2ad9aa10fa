import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import type { Command } from 'commander';
import { createProgram, examplesOf } from '../../src/cli/program.ts';
import { catalogue } from '../../src/kernel/errors/catalogue.ts';
import { handlers } from '../../src/cli/verbs/handlers.ts';
import { runInProcess } from './in-process.ts';
import { sandbox } from './program-runner.ts';

/** Splits a line as a shell would, as far as the examples go. */
function words(line: string): string[] {
  const [command = ''] = line.split(' > ', 1);
  return command.split(' ').slice(1);
}

function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

async function parse(
  args: readonly string[],
): Promise<[string, readonly string[], Readonly<Record<string, unknown>>]> {
  const seen: [string, readonly string[], Readonly<Record<string, unknown>>][] = [];
  const program = createProgram('0', async (verb, words, options) => void seen.push([verb, words, options]));
  for (const command of allCommands(program))
    command.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
  await program.parseAsync([...args], { from: 'user' });
  const [call] = seen;
  assert.ok(call !== undefined && seen.length === 1);
  return call;
}

describe('the help', () => {
  const program = createProgram('0', async () => {});
  const verbs = allCommands(program).filter((command) => examplesOf.has(command));

  it('has examples for every verb, and a handler for it', () => {
    const names = verbs.map((command) =>
      command.parent === program ? command.name() : `${command.parent?.name()} ${command.name()}`,
    );
    assert.deepEqual(names.toSorted(), Object.keys(handlers).toSorted());
    for (const command of verbs) assert.ok((examplesOf.get(command) ?? []).length > 0, command.name());
  });

  for (const command of verbs) {
    for (const line of examplesOf.get(command) ?? []) {
      it(`has an example that parses: ${line}`, async () => {
        const [verb] = await parse(words(line));
        assert.ok(line.startsWith(`holdfast ${verb}`), verb);
      });
    }
  }

  it('loads every handler', async () => {
    for (const load of Object.values(handlers)) assert.equal(typeof (await load()), 'function');
  });

  it('is shown on standard output, however it is asked for', async () => {
    await using box = await sandbox();
    for (const args of [
      ['--help'],
      ['help'],
      ['help', 'key'],
      ['key', '--help'],
      ['key', 'help', 'add'],
      ['key', 'add', '-h'],
    ]) {
      const { code, stdout, stderr } = await runInProcess(box, args);
      assert.deepEqual([code, stderr], [0, ''], args.join(' '));
      assert.match(stdout, /^Usage: holdfast/);
    }
    for (const args of [
      ['help', 'key', 'add'],
      ['key', 'help', 'add'],
      ['key', 'add', '--help'],
    ])
      assert.match((await runInProcess(box, args)).stdout, /^Usage: holdfast key add/);
  });

  it('explains an error by its code', async () => {
    await using box = await sandbox();
    const { explain, message } = catalogue.postgres_hba;
    const plain = (text: string): string => text.replaceAll(/\s+/g, ' ');
    for (const args of [
      ['help', 'HF-5005'],
      ['help', 'hf5005'],
      ['help', '5005'],
      ['help', '--quiet', 'HF-5005'],
    ]) {
      const { code, stdout, stderr } = await runInProcess(box, args);
      assert.deepEqual([code, stderr], [0, ''], args.join(' '));
      assert.ok(plain(stdout).includes(plain(`HF-5005: ${message} ${explain} hint: `)), stdout);
      for (const line of stdout.split('\n')) assert.ok(line.length <= 100, line);
    }
    const { explained } = (await runInProcess(box, ['help', 'HF-5005', '--json'])).json() as {
      explained: Record<string, unknown>;
    };
    assert.deepEqual([explained['name'], explained['explanation']], ['postgres_hba', explain]);
    for (const args of [
      ['help', 'HF-9999'],
      ['help', 'HF-5005', 'more'],
    ])
      assert.equal((await runInProcess(box, args)).code, 2);
    assert.match((await runInProcess(box, ['--help'])).stdout, /holdfast help HF-\d{4} explains/);
  });

  it('is pointed to where there are options and no verb', async () => {
    await using box = await sandbox();
    const { code, stdout } = await runInProcess(box, ['--json']);
    assert.equal(code, 2);
    const { error } = JSON.parse(stdout) as { error: Record<string, string> };
    assert.deepEqual(
      [error['message'], error['hint']],
      ['there is no verb to run', 'holdfast --help lists them'],
    );
  });

  it('shows the examples', async () => {
    await using box = await sandbox();
    const { code, stdout, stderr } = await box.run(['backup', '--help']);
    assert.equal(code, 0);
    assert.equal(stderr, '');
    assert.match(stdout, /Examples:\n {2}holdfast backup /);
  });
});

describe('options', () => {
  it('stand before or after the verb', async () => {
    for (const args of [
      ['--json', '--repo', '/r', 'list'],
      ['list', '--json', '--repo', '/r'],
      ['key', '--json', 'list', '--repo', '/r'],
    ]) {
      const [verb, , options] = await parse(args);
      assert.match(verb, /list$/);
      assert.deepEqual([options['json'], options['repo']], [true, '/r']);
    }
  });

  it('are read to what they mean', async () => {
    const [, args, backup] = await parse([
      'backup',
      'a',
      'b',
      '--tag',
      'x=1',
      '--tag',
      'y=a=b',
      '--jobs',
      '3',
      '--dry-run',
    ]);
    assert.deepEqual(args, ['a', 'b']);
    assert.deepEqual([backup['tag'], backup['jobs'], backup['dryRun']], [{ x: '1', y: 'a=b' }, 3, true]);
    const [, , restore] = await parse([
      'restore',
      'latest',
      '--to',
      't',
      '--only',
      'table=a.b',
      '--only',
      'schema=c',
      '--no-owner',
    ]);
    assert.deepEqual(
      [restore['only'], restore['owner'], restore['privileges']],
      [['table=a.b', 'schema=c'], false, true],
    );
    assert.equal((await parse(['verify', '--read-data-subset', '10%']))[2]['readDataSubset'], 0.1);
    assert.equal((await parse(['init', '--no-encryption']))[2]['encryption'], false);
  });
});

describe('a command line that is wrong', () => {
  for (const [what, args, hint] of [
    ['an unknown verb', ['bakcup'], /did you mean backup\?/],
    ['an unknown verb below a verb', ['key', 'lst'], /did you mean list\?/],
    ['an unknown option', ['list', '--jsn'], /did you mean --json\?/],
    [
      'an unknown option below a verb',
      ['key', 'add', '--lable=x'],
      /did you mean --label\? See holdfast key add -/,
    ],
    ['an option that is far from all', ['list', '--since', '1'], /'--since'\nhint: see holdfast list --help/],
    [
      'a misspelt option that is needed',
      ['restore', 'latest:shop', '--too', 'x'],
      /'--too'\nhint: did you mean --to\?/,
    ],
    ['a missing argument', ['info'], /'id'\nhint: for example: holdfast info .*; see holdfast info --help/],
    ['nothing of what is needed', ['restore'], /'id'\nhint: for example: holdfast restore latest:shop --to /],
    [
      'a missing option',
      ['restore', 'latest'],
      /restore needs --to <target>\nhint: for example: holdfast restore /,
    ],
    [
      'an export to nowhere',
      ['export', 'latest'],
      /export needs --to <directory>\nhint: for example: holdfast export /,
    ],
    [
      'too many arguments',
      ['list', 'a'],
      /list takes no words after it, and not a\nhint: see holdfast list --help/,
    ],
    [
      'a word too many',
      ['restore', 'a', 'b', '--to', 'x'],
      /takes only <id>, and not b\nhint: see holdfast restore -/,
    ],
    ['a target without its option', ['restore', 'a', 'b'], /, and not b\nhint: did you mean --to b\?/],
    [
      'a word too many below a verb',
      ['key', 'list', 'b'],
      /key list takes no words .*\n.* holdfast key list --help/,
    ],
    [
      'help for a misspelt verb',
      ['help', 'restor'],
      /no verb restor\nhint: did you mean restore\? holdfast --help/,
    ],
    [
      'help for a misspelt verb below',
      ['key', 'help', 'lst'],
      /hint: did you mean list\? holdfast key --help/,
    ],
    ['help for the same', ['help', 'key', 'lst'], /hint: did you mean list\? holdfast key --help/],
    ['a verb without its second half', ['config'], /config needs .*\n.*holdfast config --help/],
    ['help for no verb', ['help', 'nope'], /no verb nope\nhint: holdfast --help/],
    ['help for no verb below a verb', ['key', 'help', 'nope'], /no verb nope\nhint: holdfast key --help/],
    ['help for too much', ['help', 'list', 'x'], /verb or error, and not x\nhint: holdfast --help/],
    ['a number that is none', ['backup', '--jobs', 'many'], /holdfast backup --help/],
    ['a share that is none', ['verify', '--read-data-subset', '110%'], /holdfast verify --help/],
    ['a tag that is none', ['backup', '--tag', 'x'], /holdfast backup --help/],
    ['an unknown level', ['list', '--log-level', 'loud'], /holdfast list --help/],
    ['sources beside --from', ['backup', 'a', '--from', 'postgres://h/d'], /one of the two/],
    ['a target that is none', ['restore', 'latest', '--to', 'ftp://x/y'], /postgres:\/\//],
    [
      'a selection that is none',
      ['restore', 'latest', '--to', 'postgres://h/d', '--only', 'tables=x'],
      /table=schema\.name/,
    ],
    [
      'both ways of reading data',
      ['verify', '--read-data', '--read-data-subset', '5%'],
      /holdfast verify --help/,
    ],
  ] as const) {
    it(`exits with 2 and a hint: ${what}`, async () => {
      await using box = await sandbox();
      const { code, stdout, stderr } = await runInProcess(box, args, {
        env: { DATABASE_URL: 'postgres://localhost:1/d', USER: 'u' },
      });
      assert.equal(code, 2, stderr);
      assert.equal(stdout, '');
      assert.match(stderr, /^error\[HF-1001\]: .+\nhint: .+\ndocs: docs\/errors\.md#hf-1001\n$/);
      assert.match(stderr, hint);
    });
  }

  it('refuses words too many of every verb, before anything else is done', async () => {
    await using box = await sandbox();
    const program = createProgram('0', async () => {});
    for (const command of allCommands(program).filter((one) => examplesOf.has(one))) {
      if (command.registeredArguments.some(({ variadic }) => variadic)) continue;
      const [line = ''] = examplesOf.get(command) ?? [];
      const { code, stderr } = await runInProcess(box, [...words(line), 'surplus']);
      assert.equal(code, 2, line);
      assert.match(stderr, /^error\[HF-1001\]: .*and not surplus$/m, line);
    }
  });

  it('does not show the password in a word too many', async () => {
    await using box = await sandbox();
    const { stderr } = await runInProcess(box, ['restore', 'latest', 'postgres://u:hunter2@h/d']);
    assert.match(stderr, /did you mean --to postgres:\/\/u:\*+@h\/d\?/);
    assert.doesNotMatch(stderr, /hunter2/);
    const { stderr: other } = await runInProcess(box, ['list', '--passwort=hunter2']);
    assert.doesNotMatch(other, /hunter2/);
  });

  for (const args of [
    ['serve', '--port', '1'],
    ['restore', 'x', '--to', 'y', '--in-place'],
    ['restore', 'x', '--to', 'y', '--no-safety-backup'],
  ] as const) {
    it(`says that it is not in this version: ${args.join(' ')}`, async () => {
      await using box = await sandbox();
      const { code, stderr } = await runInProcess(box, args);
      assert.equal(code, 2);
      assert.match(stderr, /^error\[HF-1121\]: .* is not in this version\nhint: /);
    });
  }

  it('prints the help and exits with 2 when there is nothing on it', async () => {
    await using box = await sandbox();
    const { code, stdout, stderr } = await runInProcess(box, []);
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, /^Usage: holdfast/);
  });
});

describe('--json', () => {
  it('holds only one object, also when it fails', async () => {
    await using box = await sandbox();
    for (const [args, status] of [
      [['list'], 6],
      [['list', '--nope'], 2],
      [['config', 'validate', '--config', 'none'], 6],
    ] as const) {
      const ran = await runInProcess(box, [...args, '--json']);
      assert.equal(ran.code, status);
      const { schema, ok, error } = ran.json() as {
        schema: number;
        ok: boolean;
        error: { code: string; hint: string };
      };
      assert.deepEqual([schema, ok], [1, false]);
      assert.match(error.code, /^HF-\d{4}$/);
      assert.ok(error.hint.length > 0);
    }
  });

  it('ends with a summary for verbs that run long, also when they fail', async () => {
    await using box = await sandbox();
    for (const [args, status] of [
      [['backup'], 2],
      [['verify'], 6],
      [['restore', 'x', '--to', 'postgres://u@h/d'], 6],
    ] as const) {
      const ran = await runInProcess(box, [...args, '--json']);
      assert.equal(ran.code, status, ran.stderr);
      const lines = ran.lines();
      for (const line of lines) assert.equal(typeof line['type'], 'string');
      const last = lines.at(-1);
      assert.deepEqual([last?.['type'], last?.['schema'], last?.['ok']], ['summary', 1, false]);
      if (args[0] === 'backup') assert.deepEqual(last?.['backups'], []);
    }
  });
});

describe('config', () => {
  it('tells line and column of what is wrong, and exits with 2', async () => {
    await using box = await sandbox();
    await writeFile(box.at('holdfast.yaml'), 'jobs: 2\nlog:\n  levle: info\n');
    const wrong = await runInProcess(box, ['config', 'validate']);
    assert.equal(wrong.code, 2);
    assert.match(
      wrong.stderr,
      /^error\[HF-1104\]: holdfast\.yaml:3:3: there is no setting log\.levle\nhint: did you mean log\.level\?/,
    );
    await writeFile(box.at('holdfast.yaml'), 'jobs: [2\nx: y\n');
    assert.match(
      (await runInProcess(box, ['list'])).stderr,
      /^error\[HF-1103\]: holdfast\.yaml:2:1: not YAML/,
    );
  });

  it('shows where each value comes from, and no secret', async () => {
    await using box = await sandbox();
    await writeFile(
      box.at('holdfast.yaml'),
      'sources:\n  shop: { type: postgres, url: "postgres://u:hunter2@h/d", tags: { a: b } }\n',
    );
    const ran = await runInProcess(box, ['config', 'show', '--json', '--repo', '/r'], {
      env: { HOLDFAST_PASSPHRASE: 'hunter3', HOLDFAST_JOBS: '3' },
    });
    assert.equal(ran.code, 0);
    const from = Object.fromEntries(
      (ran.json()['settings'] as { setting: string; value: unknown; from: string }[]).map((s) => [
        s.setting,
        [s.value, s.from],
      ]),
    );
    assert.deepEqual(from['repository'], ['/r', '--repo']);
    assert.deepEqual(from['jobs'], [3, 'HOLDFAST_JOBS']);
    assert.deepEqual(from['encryption.passphrase'], ['***', 'HOLDFAST_PASSPHRASE']);
    assert.deepEqual(from['sources.shop.url'], ['postgres://u:***@h/d', 'holdfast.yaml:2:27']);
    assert.deepEqual(from['log.level'], ['info', 'default']);
    assert.doesNotMatch(ran.stdout + (await runInProcess(box, ['config', 'show'])).stdout, /hunter/);
  });

  it('prints a template that is valid, and a schema', async () => {
    await using box = await sandbox();
    const { stdout } = await runInProcess(box, ['config', 'template']);
    await writeFile(box.at('holdfast.yaml'), stdout);
    assert.equal((await runInProcess(box, ['config', 'validate'])).code, 0);
    assert.equal((await runInProcess(box, ['config', 'schema'])).json()['type'], 'object');
  });

  it('warns of a variable that stands for nothing', async () => {
    await using box = await sandbox();
    const { stderr } = await runInProcess(box, ['config', 'validate'], {
      env: { HOLDFAST_REPOSITROY: '/x' },
    });
    assert.match(stderr, /warning: HOLDFAST_REPOSITROY .* did you mean HOLDFAST_REPOSITORY\?/);
  });
});

describe('the program', () => {
  it('exits with the code of what went wrong', async () => {
    await using box = await sandbox();
    for (const [args, status] of [
      [['bakcup'], 2],
      [['list', '--repo', 'none'], 6],
    ] as const) {
      assert.equal((await box.run(args)).code, status);
    }
  });

  it('prints its version at once', async (context) => {
    await using box = await sandbox();
    const times: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      const before = performance.now();
      const { code, stdout } = await box.run(['--version']);
      times.push(performance.now() - before);
      assert.equal(code, 0);
      assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
    }
    context.diagnostic(`--version took ${Math.min(...times).toFixed(0)} ms at best`);
  });
});

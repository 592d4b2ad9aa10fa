import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createProgram } from '../../src/cli/program.ts';
import { allVerbs, modelOf } from '../../src/cli/completion/model.ts';
import { laterVerbs } from '../../src/cli/later.ts';
import { passphrase } from '../../testing/repository.ts';
import { runInProcess } from './in-process.ts';
import { sandbox, type Sandbox } from './program-runner.ts';

const golden = fileURLToPath(new URL('../golden/format-1-encrypted', import.meta.url));
const bashCompletion = '/usr/share/bash-completion/bash_completion';
const limitMs = 60_000;

/** Answers as the program does, at once. Which words it got decides, so scripts must hand them on. */
const stub = String.raw`#!/bin/sh
case "$*" in
  "__complete sources "*other.yaml*) printf 'third\t\n' ;;
  "__complete sources "*odd*) printf 'my shop\t\nb:c\t\n' ;;
  "__complete sources "*) printf 'shop\t\nblog\t\n' ;;
  "__complete backups "*) printf 'latest\tthe newest backup\nlatest:shop\tof shop\nlatest:blog\tof blog\n1f2e3d4c\t2026\n' ;;
esac
`;

let box: Sandbox;
const scripts = new Map<string, string>();

/** A directory with two sources and an encrypted repository of two backups. */
before(async () => {
  box = await sandbox();
  cpSync(golden, box.at('repo'), { recursive: true });
  const source = (name: string): string =>
    `  ${name}: { type: postgres, url: postgres://x@localhost/${name} }\n`;
  writeFileSync(box.at('holdfast.yaml'), `repository: ./repo\nsources:\n${source('shop')}${source('blog')}`);
  writeFileSync(box.at('other.yaml'), `repository: ./nowhere\nsources:\n${source('third')}`);
  for (const directory of ['bin', 'odd']) {
    mkdirSync(box.at(directory));
    writeFileSync(box.at(directory, 'holdfast'), stub, { mode: 0o755 });
  }
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { code, stdout } = await runInProcess(box, ['completion', shell]);
    assert.equal(code, 0);
    scripts.set(shell, stdout);
    writeFileSync(box.at(shell === 'zsh' ? '_holdfast' : `script.${shell}`), stdout);
  }
});
after(() => box[Symbol.asyncDispose]());

function shell(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const { PATH = '' } = process.env;
  const own = { PATH: `${box.at('bin')}:${PATH}`, HOME: box.home, LC_ALL: 'C.UTF-8', TERM: 'xterm', ...env };
  const ran = spawnSync(command, args, { cwd: box.path, env: own, encoding: 'utf8', timeout: limitMs });
  assert.equal(ran.error, undefined);
  assert.equal(ran.stderr, '');
  return ran.stdout;
}

function missing(command: string): string | false {
  const { error } = spawnSync(command, ['--version']);
  return error === undefined ? false : `${command} is not installed`;
}

/** The first eight digits of the backups, oldest first. */
function backupIds(): string[] {
  const names = globSync('*', { cwd: box.at('repo', 'snapshots') }).toSorted();
  return names.map((name) => name.split('-')[2]?.slice(0, 8) ?? '');
}

describe('what completion scripts ask', () => {
  const ask = (...args: readonly string[]) => runInProcess(box, ['__complete', ...args]);

  it('is answered without a passphrase, and nothing is written', async () => {
    const before = globSync('**', { cwd: box.path });
    const [first = '', second = ''] = backupIds();
    const answer = await ask('backups', 'info');
    assert.deepEqual([answer.code, answer.stderr], [0, '']);
    const values = answer.stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t')[0]);
    assert.deepEqual(values, ['latest', 'latest:shop', 'latest:blog', second, first]);
    assert.match(answer.stdout, /\t2026-\d\d-\d\d \d\d:\d\d:\d\dZ\n/);
    assert.equal((await ask('sources')).stdout, 'shop\t\nblog\t\n');
    assert.deepEqual(globSync('**', { cwd: box.path }), before);
  });

  it('tells source and kind as well where the passphrase is at hand', async () => {
    const [first = '', second = ''] = backupIds();
    const before = globSync('**', { cwd: box.path });
    const env = { HOLDFAST_PASSPHRASE: passphrase.reveal() };
    let lines: string[] = [];
    // A machine with much else to do may take longer than somebody at a prompt is kept waiting.
    for (let tries = 0; tries < 20 && !lines.some((line) => line.endsWith(')')); tries += 1) {
      const { stdout } = await runInProcess(box, ['__complete', 'backups', 'info'], { env });
      lines = stdout.trimEnd().split('\n').slice(-2);
    }
    assert.match(lines[0] ?? '', new RegExp(`^${second}\\t2026-\\S+ \\S+Z \\S+ \\([a-z-]+\\)$`));
    assert.match(lines[1] ?? '', new RegExp(`^${first}\\t2026-\\S+ \\S+Z \\S+ \\([a-z-]+\\)$`));
    assert.deepEqual(globSync('**', { cwd: box.path }), before);
  });

  it('runs no command for the passphrase, and takes a wrong one for none', async () => {
    const names = (await ask('backups', 'info')).stdout;
    for (const env of [
      { HOLDFAST_PASSPHRASE: 'some other passphrase' },
      { HOLDFAST_PASSPHRASE_COMMAND: `touch ${box.at('was-run')}; echo ${passphrase.reveal()}` },
    ]) {
      const { stdout, stderr } = await runInProcess(box, ['__complete', 'backups', 'info'], { env });
      assert.deepEqual([stdout, stderr], [names, '']);
    }
    assert.ok(!existsSync(box.at('was-run')));
  });

  it('goes by the options that were typed', async () => {
    assert.equal((await ask('sources', 'backup', '--config', 'other.yaml')).stdout, 'third\t\n');
    assert.equal((await ask('sources', '--config=other.yaml', 'backup')).stdout, 'third\t\n');
    const { stdout } = await ask('backups', '--config', 'other.yaml', '--repo', './repo');
    assert.match(stdout, /^latest\t.*\nlatest:third\t/);
  });

  it('is nothing where anything is amiss', async () => {
    for (const args of [
      [],
      ['keys'],
      ['sources', '--config', 'nothing.yaml'],
      ['backups', '--config', 'other.yaml'],
      ['backups', '--repo', './script.bash'],
    ]) {
      const { code, stdout, stderr } = await ask(...args);
      assert.deepEqual([code, stdout, stderr], [0, '', ''], args.join(' '));
    }
  });

  it('ends after two seconds, whatever hangs', { skip: missing('mkfifo') }, async () => {
    spawnSync('mkfifo', [box.at('hangs.yaml')]);
    const { stdout, stderr } = await box.run(['__complete', 'sources', '--config', 'hangs.yaml'], {
      limitMs: 30_000,
    });
    assert.deepEqual([stdout, stderr], ['', '']);
  });
});

describe('holdfast completion', () => {
  it('needs the name of a shell, and knows three', async () => {
    for (const args of [['completion'], ['completion', 'tcsh']]) {
      const { code, stderr } = await runInProcess(box, args);
      assert.equal(code, 2);
      assert.match(stderr, /bash.*zsh.*fish/);
    }
  });

  it('gives a program the script as JSON', async () => {
    const { stdout } = await runInProcess(box, ['completion', 'fish', '--json']);
    assert.deepEqual(JSON.parse(stdout), { schema: 1, ok: true, shell: 'fish', script: scripts.get('fish') });
  });

  it('knows every verb and option that the help shows, and none that it hides', () => {
    const verbs = allVerbs(modelOf(createProgram('', async () => {})));
    const names = verbs.flatMap(({ path, options }) => [
      ...path,
      ...options.flatMap((option) => option.names),
    ]);
    for (const name of ['restore', 'remove', 'template', 'size', '--yes', '--read-data-subset', '-V'])
      assert.ok(names.includes(name), name);
    for (const name of ['--in-place', '--behind', '__complete']) assert.ok(!names.includes(name), name);
    const first = new Set(verbs.map(({ path }) => path[0]));
    for (const name of laterVerbs) assert.ok(!first.has(name), name);
    const yes = verbs.filter(({ options }) => options.some((option) => option.names.includes('--yes')));
    assert.ok(
      yes.some(({ path }) => path.join(' ') === 'restore') && !yes.some(({ path }) => path[0] === 'list'),
    );
    for (const [name, script] of scripts)
      for (const verb of verbs)
        assert.ok(script.includes(verb.path.at(-1) ?? ''), `${verb.path.join(' ')} for ${name}`);
  });
});

/** What is typed, and all that is offered for its last word, in any order; 'FILES' and 'DIRECTORIES' are the shell's own. */
const offers: readonly (readonly [string, readonly string[]])[] = [
  ['holdfast ba', ['backup']],
  ['holdfast co', ['config', 'completion']],
  ['holdfast key ', ['add', 'agent', 'change', 'help', 'list', 'remove']],
  ['holdfast --json key re', ['remove']],
  ['holdfast --repo key in', ['init', 'info']],
  ['holdfast help ke', ['key']],
  ['holdfast key help ch', ['change']],
  ['holdfast backup ', ['shop', 'blog']],
  ['holdfast backup shop b', ['blog']],
  ['holdfast backup --config other.yaml ', ['third']],
  ['holdfast --config=other.yaml backup t', ['third']],
  ['holdfast list --source s', ['shop']],
  ['holdfast info latest', ['latest', 'latest:shop', 'latest:blog']],
  ['holdfast info latest:s', ['latest:shop']],
  ['holdfast verify latest --read-data latest:b', ['latest:blog']],
  ['holdfast restore latest ', []],
  ['holdfast key remove ', []],
  ['holdfast list --tag ', []],
  ['holdfast list --log-level ', ['debug', 'info', 'warn', 'error']],
  ['holdfast --log-level e', ['error']],
  ['holdfast export latest --format ', ['sql', 'dump']],
  ['holdfast verify --read-data', ['--read-data', '--read-data-subset']],
  ['holdfast restore --in', []],
  ['holdfast restore --y', ['--yes']],
  ['holdfast list --y', []],
  ['holdfast completion z', ['zsh']],
  ['bin/holdfast ba', ['backup']],
];

/** Words as readline cuts them: at blanks, and around : and =. */
function cut(line: string): string[] {
  const words = line.split(/(?<!\\) /).map((word) => word.split(/([:=])/).filter((piece) => piece !== ''));
  return words.flatMap((pieces) => (pieces.length === 0 ? [''] : pieces));
}

describe('in bash', { skip: missing('bash') }, () => {
  const complete = (lines: readonly string[], setup = ''): string[][] => {
    const quoted = (word: string): string => `'${word.replaceAll("'", String.raw`'\''`)}'`;
    const calls = lines.map((line) => {
      const words = cut(line);
      return `COMP_LINE=${quoted(line)}; COMP_POINT=\${#COMP_LINE}; COMP_WORDS=(${words.map(quoted).join(' ')})
        COMP_CWORD=${words.length - 1}; _holdfast; printf '%s\\n' "\${COMPREPLY[@]}" ==`;
    });
    // Outside a completion there is nothing that compopt could change.
    const stub = `compopt() { [[ $2 == nosort ]] || COMPREPLY=("$2"); }`;
    const stdout = shell('bash', ['--norc', '-c', `${setup}\n. ./script.bash\n${stub}\n${calls.join('\n')}`]);
    return stdout
      .split('==\n')
      .slice(0, -1)
      .map((text) => text.split('\n').filter((word) => word !== ''));
  };
  /** What replaces the part behind the last : or =. */
  const tail = (line: string, words: readonly string[]): string[] => {
    const typed = line.split(' ').at(-1) ?? '';
    const head = Math.max(typed.lastIndexOf(':'), typed.lastIndexOf('=')) + 1;
    return words.map((word) => word.slice(head)).toSorted();
  };

  for (const [what, setup] of [
    ['by itself', ''],
    ['with bash-completion', `. ${bashCompletion}`],
  ] as const) {
    const skip = setup !== '' && !existsSync(bashCompletion) ? 'bash-completion is not installed' : false;
    it(`offers what may come next ${what}`, { skip }, () => {
      const replies = complete(
        offers.map(([line]) => line),
        setup,
      );
      for (const [index, [line, words]] of offers.entries())
        assert.deepEqual(replies[index]?.toSorted(), tail(line, words), line);
    });
  }

  it('leaves files to the shell, and values behind = as readline wants them', () => {
    const [file, equals, directory, target, files, source, level] = complete([
      'holdfast --config o',
      'holdfast --config=o',
      'holdfast --repo r',
      'holdfast restore latest --to r',
      'holdfast import old.dump r',
      'holdfast list --source=',
      'holdfast list --log-level=w',
    ]);
    assert.deepEqual(
      [file, equals, directory, target, files],
      [['default'], ['default'], ['dirnames'], ['default'], ['default']],
    );
    assert.deepEqual([source, level], [['shop', 'blog'], ['warn']]);
  });

  it('quotes what has blanks, also when a quote is open', () => {
    const [plain, escaped, open, colon] = complete([
      'odd/holdfast backup odd ',
      String.raw`odd/holdfast backup --tag odd my\ `,
      'odd/holdfast backup odd "my',
      'odd/holdfast backup odd b:',
    ]);
    assert.deepEqual(plain, [String.raw`my\ shop`, 'b:c']);
    assert.deepEqual([open, colon], [['my shop'], ['c']]);
    assert.deepEqual(escaped, [String.raw`my\ shop`]);
  });
});

describe('in fish', { skip: missing('fish') }, () => {
  const complete = (lines: readonly string[]): string[][] => {
    const script = lines.map((line) => `complete -C '${line}' | string replace -r '\\t.*' ''; echo ==`);
    const stdout = shell('fish', ['--no-config', '-c', `source ./script.fish\n${script.join('\n')}`]);
    return stdout
      .split('==\n')
      .slice(0, -1)
      .map((text) => text.split('\n').filter((word) => word !== ''));
  };

  it('offers what may come next', () => {
    const replies = complete(offers.map(([line]) => line));
    for (const [index, [line, words]] of offers.entries())
      assert.deepEqual(replies[index]?.toSorted(), words.toSorted(), line);
  });

  it('says of a value what is known of it, not what its option is for', () => {
    const script = ['complete -C "holdfast export latest --format "', 'complete -C "holdfast info 1f2"'].join(
      '; ',
    );
    const stdout = shell('fish', ['--no-config', '-c', `source ./script.fish; ${script}`]);
    assert.equal(stdout, 'dump\nsql\n1f2e3d4c\t2026\n');
  });

  it('leaves files to the shell where a file belongs', () => {
    const [config, target, nothing] = complete([
      'holdfast --config oth',
      'holdfast restore latest --to oth',
      'holdfast list oth',
    ]);
    assert.deepEqual([config, target, nothing], [['other.yaml'], ['other.yaml'], []]);
  });
});

describe('in zsh', { skip: missing('zsh') }, () => {
  it('completes what is typed before it runs', () => {
    const typed = offers.filter(([, words]) => words.length === 1);
    const lines = [
      ...typed.map(([line, [word = '']]) => [line, ...line.split(' ').slice(1, -1), word]),
      ['holdfast --config oth', '--config', 'other.yaml'],
      ['holdfast --config=oth', '--config=other.yaml'],
      ['holdfast list --source=s', 'list', '--source=shop'],
      ['holdfast list --source=shop --sour', 'list', '--source=shop', '--sour'],
      ['holdfast restore latest --to oth', 'restore', 'latest', '--to', 'other.yaml'],
    ].filter(([line = '']) => !line.startsWith('bin/'));
    // A shell of its own at a terminal of its own: it completes, then runs what the line has become.
    writeFileSync(
      box.at('.zshrc'),
      `fpath=(${box.path} $fpath); autoload -U compinit; compinit -u -D
       holdfast() { if [[ $1 == __complete ]]; then command holdfast "$@"; else print -r -- "<\${(j:|:)@}>"; fi }
       PROMPT=; unsetopt prompt_sp\n`,
    );
    const runs = lines.map(
      ([line]) => `zpty -w -n shell $'${line}\\t\\n'; zpty -r shell out $'*<*>\\r\\n*'; print -r -- "$out"`,
    );
    const stdout = shell(
      'zsh',
      ['-f', '-c', `zmodload zsh/zpty; zpty shell zsh -i\n${runs.join('\n')}\nzpty -d shell`],
      {
        ZDOTDIR: box.path,
      },
    );
    const seen = [...stdout.matchAll(/<([^<>]*)>\r/g)].map(([, words]) => words);
    assert.deepEqual(
      seen,
      lines.map(([, ...words]) => words.join('|')),
    );
  });
});

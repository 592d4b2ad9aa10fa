import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import type { Command } from 'commander';
import { createProgram } from '../../src/cli/program.ts';
import { catalogue } from '../../src/kernel/errors/catalogue.ts';
import { anchorsOf, codeSpansOf, holdfastCommands, linksOf, shellBlocksOf } from '../../testing/markdown.ts';

const root = join(import.meta.dirname, '../..');
const pages = [...globSync('*.md', { cwd: root }), ...globSync('docs/**/*.md', { cwd: root })].map(
  (path) => ({
    path,
    text: readFileSync(join(root, path), 'utf8'),
  }),
);

/** What a link of a page points to, relative to the root; the page itself for a bare anchor. */
function targetOf(page: string, link: string): { path: string; anchor: string | undefined } {
  const [path = '', anchor] = link.split('#');
  return { path: path === '' ? page : relative(root, join(root, dirname(page), decodeURI(path))), anchor };
}

test('every relative link leads to a file, and every anchor to a heading', () => {
  const broken = pages.flatMap(({ path: page, text }) =>
    linksOf(text).flatMap((link) => {
      const { path, anchor } = targetOf(page, link);
      if (!existsSync(join(root, path))) return [`${page}: ${link}: there is no ${path}`];
      if (anchor === undefined || statSync(join(root, path)).isDirectory()) return [];
      const known = anchorsOf(readFileSync(join(root, path), 'utf8'));
      return known.has(anchor) ? [] : [`${page}: ${link}: ${path} has no heading #${anchor}`];
    }),
  );
  assert.deepEqual(broken, []);
});

test('every file under docs/ can be reached from docs/README.md', () => {
  const reached = new Set<string>();
  const queue = ['docs/README.md'];
  for (let page = queue.pop(); page !== undefined; page = queue.pop()) {
    if (reached.has(page)) continue;
    reached.add(page);
    const text = pages.find(({ path }) => path === page)?.text ?? '';
    for (const link of linksOf(text)) queue.push(targetOf(page, link).path);
  }
  const files = globSync('docs/**/*', { cwd: root }).filter((path) => statSync(join(root, path)).isFile());
  assert.deepEqual(
    files.filter((path) => !reached.has(path)),
    [],
  );
});

test('every command line of holdfast in a shell block parses', async () => {
  const wrong: string[] = [];
  let parsed = 0;
  for (const { path, text } of pages) {
    for (const words of shellBlocksOf(text).flatMap(holdfastCommands)) {
      parsed += 1;
      const trouble = await parseTrouble(words);
      if (trouble !== undefined) wrong.push(`${path}: holdfast ${words.join(' ')}: ${trouble.message}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(parsed > 50, `only ${parsed} command lines were found`);
});

test('every command of holdfast in running text exists, and so do its flags', async () => {
  const wrong: string[] = [];
  for (const { path, text } of pages) {
    const commands = codeSpansOf(text).filter((span) => /^holdfast (?!…)/.test(span));
    for (const words of commands.flatMap(holdfastCommands)) {
      const trouble = await parseTrouble(words);
      // A sentence may well leave out what the command acts on.
      if (trouble === undefined || /missing/i.test(trouble.code)) continue;
      wrong.push(`${path}: holdfast ${words.join(' ')}: ${trouble.message}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test('command lines are found where a shell, cron and systemd find them, and nowhere else', () => {
  const found = (text: string): string[] => holdfastCommands(text).map((words) => words.join(' '));
  assert.deepEqual(found('mkdir ~/holdfast && cd ~/holdfast   # holdfast init'), []);
  assert.deepEqual(
    found('sudo -u holdfast A=b holdfast init && bin/holdfast list | tail -1; echo holdfast'),
    ['init', 'list'],
  );
  assert.deepEqual(found("holdfast info 'a b' --json >x 2>&1 </dev/null"), ['info a b --json']);
  assert.deepEqual(found('holdfast backup \\\n  --tag "a=b c"'), ['backup --tag a=b c']);
  assert.deepEqual(found('for i in 1 2; do\n  holdfast verify\ndone'), ['verify']);
  assert.deepEqual(found('(cd /x && holdfast list); test "$(holdfast --version)" = 1'), [
    'list',
    '--version',
  ]);
  assert.deepEqual(found('0 2 * * *   holdfast backup --quiet\n@daily holdfast verify'), [
    'backup --quiet',
    'verify',
  ]);
  assert.deepEqual(found('User=holdfast\nExecStart=/usr/local/bin/holdfast backup'), ['backup']);
});

test('every error code that a page names is in the catalogue', () => {
  const known = new Set<string>(Object.values(catalogue).map(({ code }) => code));
  const unknown = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/\bHF-\d{4}\b/gi)]
      .map(([code]) => code.toUpperCase())
      .filter((code) => !known.has(code))
      .map((code) => `${path}: ${code}`),
  );
  assert.deepEqual(unknown, []);
});

test('every file of this checkout that a page names exists', () => {
  const missing = pages.flatMap(({ path: page, text }) =>
    codeSpansOf(text)
      .flatMap(
        (span) => span.match(/(?<![\w/.-])(?:src|test|testing|scripts|docs|bench|wasm)\/[^\s`'"]*/g) ?? [],
      )
      // Patterns and gaps that readers fill in.
      .filter(
        (path) => !/[<{…]/.test(path) && globSync(path.replace(/[#,;:]+.*$/, ''), { cwd: root }).length === 0,
      )
      .map((path) => `${page}: ${path}`),
  );
  assert.deepEqual(missing, []);
});

/** What the real command line has against these words; undefined when it takes them. */
async function parseTrouble(
  words: readonly string[],
): Promise<{ readonly code: string; readonly message: string } | undefined> {
  const program = createProgram('0.0.0', async () => {});
  for (const command of commandsOf(program))
    command.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
  try {
    await program.parseAsync([...words], { from: 'user' });
    return undefined;
  } catch (error) {
    const trouble = error as Error & { code: string };
    return ['commander.helpDisplayed', 'commander.version', 'commander.help'].includes(trouble.code)
      ? undefined
      : trouble;
  }
}

function commandsOf(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(commandsOf)];
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Command } from 'commander';
import { createProgram } from '../../src/cli/program.ts';
import { laterVerbs } from '../../src/cli/later.ts';
import { allSettings } from '../../src/contract/config-settings.ts';
import { catalogue } from '../../src/kernel/errors/catalogue.ts';

const program = createProgram('0.0.0', async () => undefined);
const settings = new Set(allSettings.flatMap(({ path }) => path.slice(-1)));
const variables = new Set(['HOLDFAST_CONFIG', ...allSettings.map(({ env }) => env)]);

/** Commands of other programs, up to what ends them in a sentence: their flags are their own affair. */
const otherPrograms = /\b(?:psql|pg_dump|pg_isready|npm|apt|apt-get|dnf|brew|openssl|chmod|ulimit) [^,;()]*/g;
/** What PostgreSQL and SQLite themselves call so. */
const ofOthers =
  /^(?:pg_\w+|max_(?:connections|wal_senders|replication_slots|slot_wal_keep_size)|wal_(?:level|keep_size|sender_timeout)|slot_name|(?:archive|restore)_command|synchronous_commit|sqlcipher_export|journal_mode|integrity_check)$/;

const hints = Object.values(catalogue).map(({ code, hint }) => ({
  code,
  // Placeholders are filled with values, not with advice that could be checked here.
  text: hint.replaceAll(/\{\w+\}/g, '').replaceAll(otherPrograms, ''),
}));

function all(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] ?? match[0]);
}

function commandsOf(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(commandsOf)];
}

function flagsOf(command: Command): (string | undefined)[] {
  return command.options.filter(({ hidden }) => !hidden).map(({ long }) => long ?? undefined);
}

test('every flag in a hint exists', () => {
  const known = new Set([...commandsOf(program).flatMap(flagsOf), '--help']);
  const unknown = hints.flatMap(({ code, text }) =>
    all(text, /(?<!\S)(--[a-z][a-z-]*)/g)
      .filter((flag) => !known.has(flag))
      .map((flag) => `${code} ${flag}`),
  );
  assert.deepEqual(unknown, []);
});

test('every command in a hint exists, and has the flags it is shown with', () => {
  const wrong = hints.flatMap(({ code, text }) =>
    all(text, /\bholdfast (?!is\b)([a-z][^,;>()]*)/g).flatMap((line) => {
      const words = line.split(/\s+/);
      let command = program.commands.find((verb) => verb.name() === words[0]);
      if (command === undefined || laterVerbs.includes(command.name()))
        return [`${code} holdfast ${words[0]}`];
      command = command.commands.find((verb) => verb.name() === words[1]) ?? command;
      const flags = flagsOf(command);
      return words
        .filter((word) => word.startsWith('--') && !flags.includes(word))
        .map((flag) => `${code} holdfast ${command.name()} ${flag}`);
    }),
  );
  assert.deepEqual(wrong, []);
});

test('every setting and every variable in a hint exists', () => {
  const unknown = hints.flatMap(({ code, text }) =>
    all(text, /\b(?:[a-z]+(?:_[a-z]+)+|HOLDFAST_[A-Z_]+)\b/g)
      .filter((name) => !settings.has(name) && !variables.has(name) && !ofOthers.test(name))
      .map((name) => `${code} ${name}`),
  );
  assert.deepEqual(unknown, []);
});

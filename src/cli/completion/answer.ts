import { knownBackups, knownSources, type CompletionOptions } from '../../app/complete.ts';
import type { Machine } from '../../app/machine.ts';
import { instant } from '../format.ts';
import type { Terminal } from '../terminal.ts';

/** Somebody waits at a prompt. */
const deadlineMs = 2000;
/** So long may it take to find out what each backup is of. */
const factsMs = 1000;
/** More than fit a screen help nobody. */
const shownBackups = 200;
const shortId = 8;

export interface CompletionEnvironment {
  readonly machine: Machine;
  readonly terminal: Pick<Terminal, 'stdout'>;
  /** Ends the process, whatever it waits for. */
  readonly vanish: () => unknown;
}

/** A value, and what is said about it. */
type Candidate = readonly [value: string, about: string];

/**
 * What completion scripts ask: `sources` or `backups`, then the words typed so far. Prints a candidate a line, with a
 * tab and what there is to say about it; nothing at all when anything is amiss.
 */
export async function answerCompletion(
  [what, ...typed]: readonly string[],
  { machine, terminal, vanish }: CompletionEnvironment,
): Promise<void> {
  // A file system that does not answer holds up calls that know of no signal, and an orderly end as well.
  const timer = setTimeout(vanish, deadlineMs);
  try {
    const options = { config: valueOf(typed, '--config'), repo: valueOf(typed, '--repo') };
    const found = (await lookups[what ?? '']?.(options, machine)) ?? [];
    const lines = found.filter(([value]) => isPrintable(value)).map((candidate) => candidate.join('\t'));
    terminal.stdout.on('error', () => {}); // The shell need not wait for all of it.
    if (lines.length > 0) terminal.stdout.write(`${lines.join('\n')}\n`);
  } catch {
    // Whoever runs the verb itself is told what is wrong.
  } finally {
    // Something may still be waited for that nobody needs any more.
    timer.unref();
  }
}

const lookups: Readonly<Record<string, typeof sources>> = { sources, backups };

async function sources(options: CompletionOptions, machine: Machine): Promise<Candidate[]> {
  return (await knownSources(options, machine)).map((name) => [name, '']);
}

async function backups(options: CompletionOptions, machine: Machine): Promise<Candidate[]> {
  const known = await knownBackups(options, machine, new AbortController().signal);
  const facts = await known.facts(shownBackups, AbortSignal.timeout(factsMs));
  await known.close();
  if (known.backups.length === 0) return [];
  const configured = await knownSources(options, machine);
  const short = Map.groupBy(known.backups, ({ id }) => id.slice(0, shortId));
  return [
    ['latest', 'the newest backup'],
    ...configured.map((name): Candidate => [`latest:${name}`, `the newest of ${name}`]),
    ...known.backups.slice(0, shownBackups).map(({ id, startedAt }): Candidate => {
      const beginning = id.slice(0, shortId);
      const { source, kind } = facts.get(id) ?? {};
      const about = source === undefined ? '' : ` ${printable(source)} (${kind})`;
      return [short.get(beginning)?.length === 1 ? beginning : id, `${instant(startedAt)}${about}`];
    }),
  ];
}

function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, ' ');
}

/** Of `--repo PLACE` or `--repo=PLACE`, the last one. */
function valueOf(words: readonly string[], option: string): string | undefined {
  for (const [index, word] of [...words.entries()].toReversed()) {
    if (word === option && words[index + 1] !== undefined) return words[index + 1];
    if (word.startsWith(`${option}=`)) return word.slice(option.length + 1);
  }
  return undefined;
}

function isPrintable(value: string): boolean {
  return value !== '' && !/\p{Cc}/u.test(value);
}

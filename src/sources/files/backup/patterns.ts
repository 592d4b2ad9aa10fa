import ignore, { type Ignore } from 'ignore';

/** After so many questions the memory of their answers is given up: it would grow with the tree. */
const questionsRemembered = 20_000;

/** Patterns as in .gitignore, matched against paths relative to one directory. The last that matches decides. */
export class Patterns {
  #rules: Ignore;
  #asked = 0;

  private constructor(rules: Ignore) {
    this.#rules = rules;
  }

  /** Undefined when there are none. */
  static of(patterns: readonly string[]): Patterns | undefined {
    return patterns.length === 0 ? undefined : new Patterns(empty().add(patterns));
  }

  /** These (none: undefined) and those of an ignore file that holds for `directory` (`''` or ending in a slash) and below. */
  static within(outer: Patterns | undefined, directory: string, text: string): Patterns | undefined {
    const patterns = text
      .replace(/^\uFEFF/, '')
      .split(/\r?\n/)
      .flatMap((line) => patternBelow(directory, line));
    if (patterns.length === 0) return outer;
    const rules = outer === undefined ? empty() : empty().add(outer.#rules);
    return new Patterns(rules.add(patterns));
  }

  /** Whether a path is meant, or a directory it lies in is. Directories end in a slash. */
  match(path: string): boolean {
    this.#asked += 1;
    if (this.#asked % questionsRemembered === 0) this.#rules = empty().add(this.#rules);
    return this.#rules.ignores(path);
  }
}

function empty(): Ignore {
  return ignore({ ignorecase: false, allowRelativePaths: true });
}

/** A line of an ignore file, written so that it means the same from the top. */
function patternBelow(directory: string, line: string): string[] {
  const negated = line.startsWith('!');
  const body = withoutTrailingSpaces(negated ? line.slice(1) : line);
  if (line.startsWith('#') || body === '' || body === '/') return [];
  if (directory === '') return [negated ? `!${body}` : body];
  // A slash anywhere but at the end ties a pattern to its directory; without one it holds at every depth below.
  const tied = body.slice(0, -1).includes('/');
  const below = tied ? body.replace(/^\//, '') : `**/${body}`;
  return [`${negated ? '!' : ''}/${literally(directory)}${below}`];
}

function withoutTrailingSpaces(line: string): string {
  const trimmed = line.replace(/ +$/, '');
  const backslashes = /\\*$/.exec(trimmed)?.[0].length ?? 0;
  return trimmed !== line && backslashes % 2 === 1 ? `${trimmed} ` : trimmed;
}

function literally(path: string): string {
  return path.replaceAll(/[\\*?[\]!# ]/g, (character) => `\\${character}`);
}

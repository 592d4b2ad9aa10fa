import { pathBytes, pathText } from '../../../kernel/byte-path.ts';
import { nearest } from '../../../kernel/nearest.ts';
import type { Entry } from '../../../contract/stream.ts';
import { isPattern, pathPattern } from './glob.ts';

interface Selector {
  readonly text: string;
  readonly paths: ReadonlySet<string>;
  pattern: ((path: string) => boolean) | undefined;
  matched: boolean;
}

interface Root {
  readonly path: string;
  readonly at: string;
}

/** Among so many paths the nearest to one that is not there is looked for. */
const nearestAmong = 20_000;

/** What `only` chooses: entries, and everything below them. */
export class Selection {
  /** Nothing was said, or the place of the backup itself. */
  readonly everything: boolean;
  readonly #selectors: readonly Selector[];

  /** `roots`: so that a path may be given as it was on the machine that was backed up. */
  constructor(only: readonly string[], roots: readonly Root[]) {
    this.#selectors = only.map((text) => selector(text, roots));
    this.everything =
      only.length === 0 || this.#selectors.some(({ paths }) => paths.has('.') || paths.has(''));
  }

  /** Looks which patterns are paths of the backup: these mean that path and nothing else. To be done before the rest. */
  async settle(entries: () => AsyncIterable<Entry>): Promise<void> {
    const open = this.#selectors.filter(({ pattern }) => pattern !== undefined);
    if (open.length === 0 || this.everything) return;
    for await (const { path } of entries())
      for (const one of open) if (one.paths.has(path)) one.pattern = undefined;
  }

  /** Whether one of the selectors means this path itself. */
  matches(path: string): boolean {
    let matched = false;
    for (const one of this.#selectors) {
      if (!one.paths.has(path) && !matchesPattern(one, path)) continue;
      one.matched = true;
      matched = true;
    }
    return matched;
  }

  /** Whether this path or one above it is meant. */
  chooses(path: string): boolean {
    if (this.everything || this.matches(path)) return true;
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1))
      if (this.matches(path.slice(0, end))) return true;
    return false;
  }

  /** The first selector that has meant nothing so far. */
  get idle(): string | undefined {
    return this.everything ? undefined : this.#selectors.find(({ matched }) => !matched)?.text;
  }
}

function selector(text: string, roots: readonly Root[]): Selector {
  const tidy = tidied(text);
  const given = [tidy, ...roots.flatMap((root) => below(root, tidy))];
  return {
    text,
    // A name may have a `%` of its own, or be written as it is listed.
    paths: new Set(given.flatMap((path) => [pathText(Buffer.from(path)), pathText(pathBytes(path))])),
    pattern: isPattern(tidy) ? anyOf(given.map(pathPattern)) : undefined,
    matched: false,
  };
}

function tidied(text: string): string {
  const tidy = text
    .replaceAll(/\/{2,}/g, '/')
    .replaceAll(/(?:^|(?<=\/))\.\//g, '')
    .replace(/(?<=.)\/$/, '');
  return tidy === '' ? '.' : tidy;
}

/** What an absolute path is in the backup. */
function below({ path, at }: Root, given: string): string[] {
  if (given === path) return [at];
  const under = path.endsWith('/') ? path : `${path}/`;
  if (!given.startsWith(under)) return [];
  return [at === '.' ? given.slice(under.length) : `${at}/${given.slice(under.length)}`];
}

function anyOf(patterns: readonly ((path: string) => boolean)[]): (path: string) => boolean {
  return (path) => patterns.some((pattern) => pattern(path));
}

/** A pattern may be written for names as they are, or as they are listed. The place itself is no name. */
function matchesPattern({ pattern }: Selector, path: string): boolean {
  if (pattern === undefined || path === '.') return false;
  return pattern(path) || (path.includes('%') && pattern(pathBytes(path).toString()));
}

/** A path of the backup that `only` may have been meant to be: of the same name elsewhere, or of a similar one. */
export async function nearestPath(only: string, entries: AsyncIterable<Entry>): Promise<string | undefined> {
  const wanted = tidied(only);
  const ending = `/${wanted.slice(wanted.lastIndexOf('/') + 1)}`;
  const candidates: string[] = [];
  for await (const { path } of entries) {
    if (path.endsWith(ending)) return path;
    if (candidates.length < nearestAmong && path !== '.') candidates.push(path);
  }
  return nearest(wanted, candidates);
}

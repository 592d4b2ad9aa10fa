import type { StatementBeginnings } from './script-beginnings.ts';

/** Of a statement, so many words are looked at. */
const wordsKept = 40;

/** psql's own commands that change nothing but how the script is read. */
const harmless = new Set(['restrict', 'unrestrict', '.', 'encoding']);
const transactionControl = new Set(['begin', 'start', 'commit', 'end', 'rollback', 'abort', 'prepare']);
/** What a server does outside of a transaction only. */
const outsideTransactions = new Set(['vacuum', 'reindex', 'cluster']);
/** What does not stay within the database a script is loaded into. */
const beyondDatabase = new Set(['database', 'system', 'tablespace']);

/** What makes something, or fills it, by itself; COPY only from rows in the script. */
const filling = new Set(['create', 'insert', 'alter', 'merge', 'import', 'do']);

/** What a script is found to do while it is read. */
export class ScriptFacts {
  /** Of tables filled by COPY, and their rows. */
  tables = 0;
  rows = 0;
  statements = 0;
  /** False when it has to run without a transaction around it. */
  transactional = true;
  /** Statements or commands that reach beyond the database, as they begin; the first few. */
  readonly reaching: string[] = [];
  /** It begins as those of pg_dump do; and ends so. */
  isDump = false;
  isComplete = false;
  /** It is one of pg_dumpall. */
  isCluster = false;
  serverVersion: string | undefined;
  dumpVersion: string | undefined;
  /** A statement makes something, or fills it. */
  fills = false;
  /** `standard_conforming_strings` is off. */
  backslashEscapes = false;
  #words: string[] = [];
  #previous = '';
  #fromStdin = false;
  #depth = 0;
  /** Of BEGIN ATOMIC and CASE in the body of a function, within which a semicolon ends nothing. */
  #bodyDepth = 0;
  #concurrently = false;
  readonly #beginnings: StatementBeginnings;

  constructor(beginnings: StatementBeginnings) {
    this.#beginnings = beginnings;
  }

  word(word: string, offset: number): void {
    const [first] = this.#words;
    if (!this.#beginnings.isPast) this.#beginnings.word(word, offset);
    if (word === 'engine' && this.#endsTable)
      this.#beginnings.otherDialect('ENGINE, as MySQL writes it', offset);
    if (this.#words.length < wordsKept) this.#words.push(word);
    if (this.#previous === 'from' && word === 'stdin') this.#fromStdin = true;
    if (word === 'concurrently') this.#concurrently = true;
    if (first === 'create' && this.#isRoutine) this.#body(word);
    this.#previous = word;
  }

  parenthesis(character: '(' | ')', offset: number): void {
    if (!this.#beginnings.isPast) this.#beginnings.parenthesis(character, offset);
    this.#depth = Math.max(0, this.#depth + (character === '(' ? 1 : -1));
  }

  /** True when rows follow. */
  semicolon(): boolean {
    if (this.#depth > 0 || this.#bodyDepth > 0) return false;
    const isCopy = this.#words[0] === 'copy' && this.#fromStdin;
    if (isCopy) this.tables += 1;
    this.end();
    return isCopy;
  }

  row(): void {
    this.rows += 1;
  }

  psqlCommand(command: string): void {
    if (!harmless.has(command)) this.#reaches(`\\${command}`);
  }

  comment(text: string): void {
    if (text === 'PostgreSQL database dump') this.isDump = true;
    else if (text === 'PostgreSQL database dump complete') this.isComplete = true;
    else if (text === 'PostgreSQL database cluster dump') this.isCluster = true;
    this.serverVersion ??= /^Dumped from database version (.+)$/.exec(text)?.[1];
    this.dumpVersion ??= /^Dumped by pg_dump version (.+)$/.exec(text)?.[1];
  }

  /** The end of a statement. */
  end(): void {
    if (this.#words.length > 0) this.#judge(this.#words);
    this.#beginnings.end();
    this.#words = [];
    this.#previous = '';
    this.#fromStdin = false;
    this.#concurrently = false;
    this.#depth = 0;
    this.#bodyDepth = 0;
  }

  #judge(words: readonly string[]): void {
    const [first = '', second = '', third = ''] = words;
    this.statements += 1;
    this.fills ||=
      filling.has(first) ||
      (first === 'copy' && this.#fromStdin) ||
      (first === 'with' && (words.includes('insert') || words.includes('merge')));
    if (transactionControl.has(first) || outsideTransactions.has(first) || this.#concurrently)
      this.transactional = false;
    if (['create', 'drop', 'alter'].includes(first) && beyondDatabase.has(second))
      this.#reaches(`${first} ${second}`.toUpperCase());
    if (first === 'set' && words.includes('standard_conforming_strings'))
      this.backslashEscapes =
        words.at(-1) === 'off' || (third === 'off' && second === 'standard_conforming_strings');
  }

  #reaches(what: string): void {
    if (this.reaching.length < 5 && !this.reaching.includes(what)) this.reaching.push(what);
  }

  /** Behind the columns of CREATE TABLE: `) ENGINE=InnoDB`. */
  get #endsTable(): boolean {
    const named = ['tablespace', 'using', 'table', 'exists', 'as'].includes(this.#previous);
    const [first, second, third] = this.#words;
    const isTable = first === 'create' && (second === 'table' || third === 'table');
    return isTable && this.#depth === 0 && !named && !this.#words.includes('as');
  }

  get #isRoutine(): boolean {
    return this.#words.slice(1, 4).some((word) => word === 'function' || word === 'procedure');
  }

  /** As psql counts: `BEGIN ATOMIC … CASE … END … END`. */
  #body(word: string): void {
    if (
      this.#bodyDepth === 0
        ? word === 'atomic' && this.#previous === 'begin'
        : word === 'case' || word === 'begin'
    )
      this.#bodyDepth += 1;
    else if (word === 'end' && this.#bodyDepth > 0) this.#bodyDepth -= 1;
  }
}

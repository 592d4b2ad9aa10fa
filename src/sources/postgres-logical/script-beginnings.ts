/** What comes after CREATE, ALTER and DROP. */
const objects = words(
  `access aggregate cast collation constraint conversion database default domain event extension foreign function
  global group index language large local materialized operator or owned policy procedural procedure property
  publication recursive role routine rule schema sequence server statistics subscription system table tablespace temp
  temporary text transform trigger trusted type unique unlogged user view`,
);
const transactionWords = words('and isolation deferrable not prepared read to transaction work');

/** Words that statements begin with, and those that have to come next; null where anything may. */
const beginnings: ReadonlyMap<string, ReadonlySet<string> | null> = new Map([
  ...['create', 'alter', 'drop'].map((word) => [word, objects] as const),
  ...['begin', 'commit', 'end', 'rollback', 'abort'].map((word) => [word, transactionWords] as const),
  ['comment', words('on')],
  ['delete', words('from')],
  ['import', words('foreign')],
  ['insert', words('into')],
  ['merge', words('into')],
  ['reassign', words('owned')],
  ['refresh', words('materialized')],
  ['security', words('label')],
  ['start', words('transaction')],
  ...words(
    `analyse analyze call checkpoint close cluster copy deallocate declare discard do execute explain fetch grant
    listen load lock move notify prepare reindex release reset revoke savepoint select set show table truncate unlisten
    update vacuum values with`,
  )
    .values()
    .map((word) => [word, null] as const),
]);

/** After these an operator may stand at once: `SELECT *`, `FETCH -1`. */
const beforeOperators = words('select fetch move');

const byteOrderMark = '\u00EF\u00BB\u00BF';
const shownLength = 30;

/** What is no SQL of PostgreSQL. */
export interface Foreign {
  /** In bytes, from the start of the script. */
  readonly offset: number;
  /** In words, to follow the number of the line. */
  readonly what: string;
}

/**
 * Watches how statements begin, to tell scripts for psql from other text: programs, tables, prose, dumps of other
 * servers. Looks at the first two words of each, and at what stands around them.
 */
export class StatementBeginnings {
  /** The first thing found that PostgreSQL would not understand. */
  foreign: Foreign | undefined;
  #first: string | undefined;
  /** The beginning of the statement has been seen. */
  #past = false;
  /** Where a sign stands that a comment may begin with. */
  #sign: number | undefined;

  word(text: string, offset: number): void {
    this.#settle();
    if (this.#past) return;
    const word = offset === 0 && text.startsWith(byteOrderMark) ? text.slice(byteOrderMark.length) : text;
    if (this.#first === undefined) {
      this.#first = word;
      if (!beginnings.has(word)) this.#refuse(word, offset);
      return;
    }
    this.#past = true;
    if (!this.#mayFollow(word)) this.#refuseNext(word, offset);
  }

  /** White space, commas and operators, or a sign that is no operator. */
  idle(text: string, offset: number): void {
    this.#settle();
    const found = text.search(/\S/);
    if (found !== -1 && !this.#allowsOperator) this.#refuseNext(text.charAt(found), offset + found);
  }

  /** One of `-`, `/` and `*`: an operator, or half of what begins a comment. */
  sign(offset: number): void {
    this.#settle();
    if (!this.#allowsOperator) this.#sign = offset;
  }

  comment(): void {
    this.#sign = undefined;
  }

  /** A quoted text or name. */
  quote(character: string, offset: number): void {
    this.#settle();
    if (this.#past) return;
    if (this.#first === undefined || !this.#mayFollow(undefined)) this.#refuseNext(character, offset);
    this.#past = true;
  }

  /** `(SELECT …) UNION …` is a statement. */
  parenthesis(character: '(' | ')', offset: number): void {
    if (this.#first !== undefined || character === ')') this.quote(character, offset);
  }

  /** The end of a statement. */
  end(): void {
    this.#settle();
    this.#first = undefined;
    this.#past = false;
  }

  otherDialect(what: string, offset: number): void {
    this.foreign ??= { offset, what };
  }

  /** Whether the beginning of the statement is over, so that there is nothing to look at before the next one. */
  get isPast(): boolean {
    return this.#past;
  }

  get #allowsOperator(): boolean {
    return this.#past || (this.#first !== undefined && beforeOperators.has(this.#first));
  }

  #mayFollow(word: string | undefined): boolean {
    const following = beginnings.get(this.#first ?? '') ?? null;
    return following === null || (word !== undefined && following.has(word));
  }

  #settle(): void {
    if (this.#sign !== undefined) this.#refuseNext('a sign', this.#sign);
    this.#sign = undefined;
  }

  #refuseNext(found: string, offset: number): void {
    this.#refuse(this.#first === undefined ? found : `${this.#first} ${found}`, offset);
  }

  #refuse(found: string, offset: number): void {
    this.#past = true;
    const shown = Buffer.from(found, 'latin1').toString().slice(0, shownLength);
    this.foreign ??= { offset, what: `no statement of PostgreSQL begins with ${shown}` };
  }
}

function words(text: string): ReadonlySet<string> {
  return new Set(text.split(/\s+/));
}

import { StatementBeginnings } from './script-beginnings.ts';
import { ScriptFacts } from './script-facts.ts';

type State =
  | 'plain'
  | 'string'
  | 'escape string'
  | 'identifier'
  | 'line comment'
  | 'block comment'
  | 'dollar tag'
  | 'dollar quote'
  | 'command'
  | 'rest of line'
  | 'before rows'
  | 'rows';

const identifier = /[A-Za-z0-9_$\u0080-\u00FF]/;
const wordRun = /[A-Za-z0-9_$\u0080-\u00FF]+/y;
/** White space, commas and operators that begin nothing. */
const idleRun = /[^A-Za-z0-9_$\u0080-\u00FF'"\-/*\\;()]+/y;
const longestKept = 200;

/** Where a run of such characters ends that begins at `at`; `at` itself when none does. */
function runEnd(run: RegExp, text: string, at: number): number {
  run.lastIndex = at;
  return run.test(text) ? run.lastIndex : at;
}

/**
 * Reads a script for psql as psql does: statements, quoted texts, comments, rows after COPY, and psql's own commands,
 * and tells {@link ScriptFacts} of them. Takes bytes in pieces of any size, holds next to nothing, looks at bytes alone:
 * those that matter are the same in every encoding that a server may have.
 */
export class ScriptScanner {
  readonly beginnings = new StatementBeginnings();
  readonly facts = new ScriptFacts(this.beginnings);
  /** Bytes before the piece that is looked at. */
  #passed = 0;
  #wordAt = 0;
  #state: State = 'plain';
  /** The last two bytes of plain text. */
  #before = '';
  #last = '';
  #word = '';
  #comment = '';
  #commentDepth = 0;
  #tag = '';
  /** The end of a dollar quote, as far as it may have come. */
  #tail = '';
  #command = '';
  /** The beginning of a row. */
  #row = '';

  push(bytes: Uint8Array): void {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
    for (let at = 0; at < text.length;) at = this.#step(text, at);
    this.#passed += text.length;
  }

  /** What it ends within, in words; undefined where a script may end. */
  end(): string | undefined {
    if (this.#state === 'line comment') this.#endComment();
    if (this.#state === 'command') this.#endCommand();
    this.#endWord();
    this.facts.end();
    if (this.#state === 'rows' || this.#state === 'before rows') return 'the rows of a table';
    if (this.#state === 'block comment') return 'a comment';
    return ['string', 'escape string', 'identifier', 'dollar quote'].includes(this.#state)
      ? 'a quoted text'
      : undefined;
  }

  #step(text: string, at: number): number {
    switch (this.#state) {
      case 'plain':
        return this.#plain(text, at);
      case 'string':
        return this.#until(text, at, "'");
      case 'identifier':
        return this.#until(text, at, '"');
      case 'escape string':
        return this.#escapeString(text, at);
      case 'line comment':
        return this.#lineComment(text, at);
      case 'block comment':
        this.#blockComment(text.charAt(at));
        return at + 1;
      case 'dollar tag':
        return this.#dollarTag(text, at);
      case 'dollar quote':
        return this.#dollarQuote(text, at);
      case 'command':
        return this.#psqlCommand(text, at);
      case 'rest of line':
        return this.#restOfLine(text, at);
      case 'before rows':
        return this.#until(text, at, '\n', 'rows');
      case 'rows':
        return this.#rows(text, at);
    }
  }

  /** Takes as much as means nothing by itself, or else one character. */
  #plain(text: string, at: number): number {
    const character = text.charAt(at);
    if (character === '$' && !identifier.test(this.#last)) {
      this.beginnings.quote(character, this.#passed + at);
      this.#enter('dollar tag');
      return at + 1;
    }
    const wordEnd = runEnd(wordRun, text, at);
    if (wordEnd > at) {
      if (this.#word === '') this.#beginWord(this.#passed + at);
      this.#word += text.slice(at, Math.min(wordEnd, at + longestKept - this.#word.length));
      this.#pass(text, at, wordEnd);
      return wordEnd;
    }
    this.#endWord();
    const idleEnd = runEnd(idleRun, text, at);
    if (idleEnd > at) {
      if (!this.beginnings.isPast) this.beginnings.idle(text.slice(at, idleEnd), this.#passed + at);
      this.#pass(text, at, idleEnd);
      return idleEnd;
    }
    this.#special(character, this.#passed + at);
    return at + 1;
  }

  #beginWord(offset: number): void {
    this.#wordAt = offset;
    if (this.#last === '`')
      this.beginnings.otherDialect('a name in backquotes, as MySQL writes them', offset);
  }

  /** Remembers the last two characters of what was passed over. */
  #pass(text: string, at: number, end: number): void {
    this.#before = end - at > 1 ? text.charAt(end - 2) : this.#last;
    this.#last = text.charAt(end - 1);
  }

  #special(character: string, offset: number): void {
    const pair = this.#last + character;
    if (character === "'" || character === '"') this.beginnings.quote(character, offset);
    if (pair === '--' || pair === '/*') this.beginnings.comment();
    if (character === "'") {
      const isEscape = /e/i.test(this.#last) && !identifier.test(this.#before);
      this.#enter(isEscape || this.facts.backslashEscapes ? 'escape string' : 'string');
    } else if (character === '"') this.#enter('identifier');
    else if (pair === '--') this.#enter('line comment');
    else if (pair === '/*') this.#enter('block comment');
    else if (character === '\\') this.#enter('command');
    else if (character === ';') this.#enter(this.facts.semicolon() ? 'before rows' : 'plain');
    else {
      if (character === '(' || character === ')') this.facts.parenthesis(character, offset);
      else this.beginnings.sign(offset);
      this.#before = this.#last;
      this.#last = character;
    }
  }

  #enter(state: State): void {
    this.#state = state;
    this.#before = '';
    this.#last = '';
    this.#comment = '';
    this.#commentDepth = 1;
    this.#tag = '$';
    this.#tail = '';
    this.#command = '';
    this.#row = '';
  }

  #endWord(): void {
    if (this.#word !== '') this.facts.word(this.#word.toLowerCase(), this.#wordAt);
    this.#word = '';
  }

  /** Passes everything over up to that character. A doubled quote ends a text, and begins another one. */
  #until(text: string, at: number, end: string, next: State = 'plain'): number {
    const found = text.indexOf(end, at);
    if (found === -1) return text.length;
    this.#enter(next);
    return found + 1;
  }

  #escapeString(text: string, at: number): number {
    const character = text.charAt(at);
    const escaped = this.#last === '\\';
    if (character === "'" && !escaped) this.#enter('plain');
    else this.#last = character === '\\' && escaped ? '' : character;
    // What follows a text at once cannot make it an ordinary one: `E'a''b'`.
    if (this.#state === 'plain') this.#last = 'E';
    return at + 1;
  }

  #lineComment(text: string, at: number): number {
    const found = text.indexOf('\n', at);
    const end = found === -1 ? text.length : found;
    this.#comment += text.slice(at, Math.min(end, at + longestKept - this.#comment.length));
    if (found === -1) return text.length;
    this.#endComment();
    this.#enter('plain');
    return found + 1;
  }

  #endComment(): void {
    this.facts.comment(this.#comment.trim());
    this.#comment = '';
  }

  #blockComment(character: string): void {
    const pair = this.#last + character;
    this.#last = pair === '/*' || pair === '*/' ? '' : character;
    if (pair === '/*') this.#commentDepth += 1;
    if (pair !== '*/') return;
    this.#commentDepth -= 1;
    if (this.#commentDepth === 0) this.#enter('plain');
  }

  #dollarTag(text: string, at: number): number {
    const character = text.charAt(at);
    if (character === '$') {
      this.#tag += '$';
      this.#state = 'dollar quote';
      return at + 1;
    }
    if (
      identifier.test(character) &&
      this.#tag.length < longestKept &&
      !/^\$\d/.test(this.#tag + character)
    ) {
      this.#tag += character;
      return at + 1;
    }
    // `$1`, or an operator: no quote.
    this.#enter('plain');
    this.#last = '$';
    return at;
  }

  #dollarQuote(text: string, at: number): number {
    if (this.#tail !== '') {
      // The end may lie across two pieces.
      const seam = this.#tail + text.slice(at, at + this.#tag.length - 1);
      const found = seam.indexOf(this.#tag);
      if (found !== -1) {
        const next = at + found + this.#tag.length - this.#tail.length;
        this.#enter('plain');
        return next;
      }
    }
    const found = text.indexOf(this.#tag, at);
    if (found === -1) {
      this.#tail = (this.#tail + text.slice(at)).slice(1 - this.#tag.length);
      return text.length;
    }
    const next = found + this.#tag.length;
    this.#enter('plain');
    return next;
  }

  #psqlCommand(text: string, at: number): number {
    const character = text.charAt(at);
    if (/\s/.test(character)) {
      this.#endCommand();
      this.#enter(character === '\n' ? 'plain' : 'rest of line');
    } else if (this.#command.length < longestKept) this.#command += character;
    return at + 1;
  }

  /** What follows a command of psql: another one, or a program of the shell, may be in it. */
  #restOfLine(text: string, at: number): number {
    const character = text.charAt(at);
    if (character === '\n') this.#enter('plain');
    else if (character === '\\') this.#enter('command');
    else if (character === '`') this.facts.psqlCommand('`');
    return at + 1;
  }

  #endCommand(): void {
    this.facts.psqlCommand(this.#command);
  }

  #rows(text: string, at: number): number {
    const found = text.indexOf('\n', at);
    const end = found === -1 ? text.length : found;
    if (this.#row.length < 4) this.#row += text.slice(at, Math.min(end, at + 4 - this.#row.length));
    if (found === -1) return text.length;
    if (this.#row === '\\.' || this.#row === '\\.\r') this.#enter('plain');
    else this.facts.row();
    this.#row = '';
    return found + 1;
  }
}

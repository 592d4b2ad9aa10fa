import { CST, isAlias, isMap, isScalar, isSeq, Lexer, parseDocument, type Document, type Scalar } from 'yaml';
import { redact, redactWhole } from '../kernel/redact.ts';
import type { Secret } from '../kernel/secret.ts';
import { conceal, reveal } from './config-interpolation.ts';
import { allSettings, settingAt, variableOfSetting, type Setting } from './config-settings.ts';

/** A secret that stands where none belongs is known again from this length on; a shorter one may be an ordinary word. */
const knownAgain = 12;
/** In comments from this one on: nothing is lost there. */
const knownInComments = 6;

const plainReference = /\$\{[A-Za-z_][A-Za-z0-9_]*\}/g;
const withDefault = /^\$\{([A-Za-z_][A-Za-z0-9_]*):-.*\}$/s;
const secretKeys = [
  ...new Set(allSettings.filter(({ meta }) => meta.secret === 'value').map(({ path }) => path.at(-1))),
].join('|');
const inComment = new RegExp(
  `((?:^|[\\s,{#-])(?:${secretKeys})["']?\\s*[:=]\\s*)(?!\\s*["']?\\$\\{)(\\S.*)$`,
);

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * The text of a configuration file without the secrets in it: each stands as a reference to the variable of its setting,
 * `${HOLDFAST_PASSPHRASE}`; what is such a reference already stays. Comments are kept, and what looks like a secret in them is
 * masked, as is each of `secrets` that is long enough to be known again. Everything else stays byte for byte. Throws a
 * plain `Error`, which tells nothing of the text, when a secret would be left.
 */
export function withoutSecrets(text: string, secrets: Iterable<Secret>): string {
  const concealed = conceal(text);
  const document = parseDocument(concealed, { prettyErrors: false, version: '1.2' });
  if (document.errors.length > 0) throw new Error('it cannot be read');
  // A URL is held as a secret for the password that it may have.
  const values = [...secrets].map((secret) => secret.reveal()).filter((value) => !isOpenUrl(value));
  const edits = new Editor(document, values).edits();
  const edited = reveal(maskComments(apply(concealed, edits), values));
  if (values.some((value) => value.length >= knownAgain && edited.includes(value)))
    throw new Error('a secret stands in the name of something');
  return edited;
}

class Editor {
  readonly #document: Document;
  /** Secrets that are known by their values; those found in the text are added. */
  readonly #values: string[];
  readonly #edits = new Map<unknown, Edit>();
  readonly #open = new Set<unknown>();
  #hidesStrays = false;

  constructor(document: Document, values: string[]) {
    this.#document = document;
    this.#values = values;
  }

  edits(): readonly Edit[] {
    this.#visit(this.#document.contents, []);
    // Once more, now that all of them are known: one may stand elsewhere, too.
    this.#hidesStrays = true;
    this.#visit(this.#document.contents, []);
    return [...this.#edits.values()];
  }

  #visit(node: unknown, path: readonly string[]): void {
    if (isAlias(node)) return this.#visit(node.resolve(this.#document), path);
    if (isScalar(node)) return this.#scalar(node, path);
    if (this.#open.has(node)) return;
    this.#open.add(node);
    if (isMap(node))
      for (const { key, value } of node.items)
        this.#visit(value, [...path, isScalar(key) ? reveal(String(key.value)) : '']);
    if (isSeq(node))
      for (const [index, item] of node.items.entries()) this.#visit(item, [...path, String(index)]);
    this.#open.delete(node);
  }

  #scalar(node: Scalar, path: readonly string[]): void {
    if (node.value === null || node.value === '') return;
    const { setting, exact } = settingAbove(path);
    if (setting?.meta.secret === undefined) {
      if (this.#hidesStrays && !this.#edits.has(node)) this.#stray(node, setting, exact, path);
      return;
    }
    const variable = variableOfSetting(setting, path[1]);
    const { value: plain } = node;
    const value = typeof plain === 'string' ? plain : JSON.stringify(plain);
    const hidden =
      setting.meta.secret === 'url' ? hideInUrl(value, variable) : hideValue(value, `\${${variable}}`);
    if (hidden === undefined) return;
    this.#values.push(...hidden.secrets);
    this.#replace(node, hidden.text);
  }

  /** A secret where none belongs: a password in a location, or one of those known, in a command. */
  #stray(node: Scalar, setting: Setting | undefined, exact: boolean, path: readonly string[]): void {
    if (typeof node.value !== 'string') return;
    const text = reveal(node.value);
    const masked = this.#masked(text, setting?.path.at(-1)?.endsWith('_command') === true);
    if (masked === text) return;
    const variable = setting === undefined || !exact ? undefined : variableOfSetting(setting, path[1]);
    this.#replace(node, variable === undefined ? masked : `\${${variable}}`);
  }

  #masked(text: string, isCommand: boolean): string {
    const known = this.#values.filter((value) => value.length >= knownAgain);
    const bare = known.reduce((left, value) => left.replaceAll(value, () => '***'), text);
    const probe = bare.replaceAll(plainReference, '***');
    const looksSecret = (isCommand || probe.includes('://')) && redactWhole(probe) !== probe;
    return looksSecret ? redactWhole(bare) : bare;
  }

  #replace(node: Scalar, text: string): void {
    const [start = 0, end = 0] = node.range ?? [];
    const isBlock = node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED';
    this.#edits.set(node, { start, end, text: JSON.stringify(text) + (isBlock ? '\n' : '') });
  }
}

interface Hidden {
  readonly text: string;
  readonly secrets: readonly string[];
}

/** Undefined for what is made of references alone. */
function hideValue(concealed: string, reference: string): Hidden | undefined {
  const text = reveal(concealed);
  if (text.replaceAll(plainReference, '') === '') return undefined;
  const [, variable] = withDefault.exec(text) ?? [];
  if (variable !== undefined && text.indexOf('}') === text.length - 1)
    return { text: `\${${variable}}`, secrets: [text.slice(variable.length + 4, -1)] };
  return { text: reference, secrets: [text.replaceAll('$$', '$')] };
}

/** Only the password is replaced where it is plain which part that is, the whole URL otherwise. */
function hideInUrl(concealed: string, variable: string): Hidden | undefined {
  const whole = (): Hidden | undefined => hideValue(concealed, `\${${variable}}`);
  if (/[?&][^=&]*(?:pass|pwd|secret|token|key)[^=&]*=/i.test(reveal(concealed))) return whole();
  const [, before, password, after] =
    /^([a-z][a-z0-9+.-]*:\/\/[^:@/?#\s]*):([^@/?#\s]*)@([^@]*)$/i.exec(concealed) ?? [];
  if (before !== undefined && password !== undefined && after !== undefined) {
    const hidden = hideValue(password, `\${${variable.replace(/_URL$/, '_PASSWORD')}}`);
    if (hidden === undefined || password === '') return undefined;
    const url = (part: string): string => reveal(`${before}:${part}@${after}`);
    return { text: url(hidden.text), secrets: [...hidden.secrets, ...hidden.secrets.flatMap(decoded)] };
  }
  const hasNoPassword = /^[a-z][a-z0-9+.-]*:\/\/(?:[^:@/?#\s]*@)?[^@]*$/i.test(concealed);
  return hasNoPassword ? undefined : whole();
}

function isOpenUrl(value: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(value) && hideInUrl(value, 'URL') === undefined;
}

function decoded(text: string): string[] {
  try {
    return [decodeURIComponent(text)];
  } catch {
    return [];
  }
}

/** The setting at a path, or the one that has it as a part of its value. */
function settingAbove(path: readonly string[]): {
  readonly setting: Setting | undefined;
  readonly exact: boolean;
} {
  for (let length = path.length; length > 0; length -= 1) {
    const setting = settingAt(path.slice(0, length));
    if (setting !== undefined) return { setting, exact: length === path.length };
  }
  return { setting: undefined, exact: false };
}

function apply(text: string, edits: readonly Edit[]): string {
  return edits
    .toSorted((a, b) => b.start - a.start)
    .reduce((left, { start, end, text: by }) => left.slice(0, start) + by + left.slice(end), text);
}

function maskComments(text: string, values: readonly string[]): string {
  let masked = '';
  for (const token of new Lexer().lex(text)) {
    const type = CST.tokenType(token);
    // What the lexer adds of its own.
    if (type === 'doc-mode' || type === 'flow-error-end' || type === 'scalar') continue;
    masked += type === 'comment' ? maskComment(reveal(token), values) : token;
  }
  return masked;
}

function maskComment(comment: string, values: readonly string[]): string {
  const known = values.filter((value) => value.length >= knownInComments);
  const bare = known.reduce((left, value) => left.replaceAll(value, () => '***'), comment);
  const named = bare.replace(inComment, (_, before: string) => `${before}***`);
  return named.replaceAll(plainReference, '***') === redact(named.replaceAll(plainReference, '***'))
    ? named
    : redact(named);
}

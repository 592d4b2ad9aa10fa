import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node } from 'yaml';
import { failure } from '../kernel/errors/failure.ts';
import { conceal, interpolate, reveal, type Lookup } from './config-interpolation.ts';
import { emptyLayer, emptyTree, TextValue, type Layer, type Origin, type TreeValue } from './config-layer.ts';

/** A configuration file that has been read. `name` is how it is shown in messages. */
export interface ConfigText {
  readonly name: string;
  readonly text: string;
}

/**
 * Reads YAML into a layer whose every value knows its line and column. Null sections count as not given.
 * Throws `config_syntax` with line and column, and what {@link interpolate} throws. Never quotes a line of the file:
 * it may hold a secret.
 */
export function readYaml(file: ConfigText, lookup: Lookup): Layer {
  const lines = new LineCounter();
  const document = parseDocument(conceal(file.text), {
    lineCounter: lines,
    prettyErrors: false,
    version: '1.2',
  });
  const reader = new Reader(file, document, lines, lookup);
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) throw reader.syntax(problem.pos[0], reveal(problem.message));
  return reader.read();
}

class Reader {
  readonly #file: ConfigText;
  readonly #document: Document;
  readonly #lines: LineCounter;
  readonly #lookup: Lookup;
  readonly #layer = emptyLayer();
  readonly #open = new Set<unknown>();

  constructor(file: ConfigText, document: Document, lines: LineCounter, lookup: Lookup) {
    this.#file = file;
    this.#document = document;
    this.#lines = lines;
    this.#lookup = lookup;
  }

  read(): Layer {
    const root = this.#document.contents;
    if (root === null || (isScalar(root) && root.value === null)) return this.#layer;
    if (!isMap(root)) throw this.syntax(root.range?.[0] ?? 0, 'the file must be a mapping of settings');
    Object.assign(this.#layer.values, this.#value(root, []));
    return this.#layer;
  }

  syntax(offset: number, reason: string): Error {
    return failure('config_syntax', { place: this.#place(offset), reason });
  }

  #value(node: unknown, path: readonly string[]): TreeValue {
    if (isAlias(node)) {
      const target = node.resolve(this.#document);
      if (target === undefined) throw this.syntax(node.range?.[0] ?? 0, `there is no anchor &${node.source}`);
      return this.#value(target, path);
    }
    if (this.#open.has(node)) throw this.syntax((node as Node).range?.[0] ?? 0, 'an alias contains itself');
    if (isMap(node)) return this.#map(node, path);
    if (isSeq(node)) {
      return node.items.map((item, index) => {
        const itemPath = [...path, String(index)];
        this.#layer.origins.set(itemPath, this.#origin((item as Node).range?.[0] ?? 0));
        return this.#value(item, itemPath);
      });
    }
    return isScalar(node) ? this.#scalar(node.value, node.range?.[0] ?? 0) : null;
  }

  #map(node: { items: readonly { key: unknown; value: unknown }[] }, path: readonly string[]): TreeValue {
    this.#open.add(node);
    const tree = emptyTree();
    for (const pair of node.items) {
      const offset = (pair.key as Node | null)?.range?.[0] ?? 0;
      if (!isScalar(pair.key)) throw this.syntax(offset, 'a key must be a plain word');
      const key = reveal(String(pair.key.value));
      const keyPath = [...path, key];
      this.#layer.origins.set(keyPath, this.#origin(offset));
      tree[key] = this.#value(pair.value, keyPath);
    }
    this.#open.delete(node);
    return tree;
  }

  #scalar(value: unknown, offset: number): TreeValue {
    if (typeof value !== 'string') return value as number | boolean | null | bigint;
    const text = reveal(value);
    if (!text.includes('$')) return text;
    const interpolated = interpolate(text, this.#lookup, this.#place(offset));
    return new TextValue(interpolated);
  }

  #origin(offset: number): Origin {
    const { line, col } = this.#lines.linePos(offset);
    return { layer: 'file', file: this.#file.name, line, column: col };
  }

  #place(offset: number): string {
    const { line, col } = this.#lines.linePos(offset);
    return `${this.#file.name}:${line}:${col}`;
  }
}

import { emptyLayer, emptyTree, isTree, overlay, place, type Layer, type Tree } from './config-layer.ts';
import type { TreeValue } from './config-layer.ts';

/** Settings that a program gives in its code: nested as in the configuration file. */
export type CodeSettings = Readonly<Record<string, unknown>>;

/**
 * Lays the settings of a program over all others. A source among them stands alone: nothing of one that has the same
 * name in the file or the environment is mixed into it.
 */
export function overlayCode(lower: Layer, settings: CodeSettings): Layer {
  const higher = emptyLayer();
  fill(higher, treeOf(settings), []);
  const below = lower.values['sources'];
  const above = higher.values['sources'];
  if (isTree(below) && isTree(above)) for (const name of Object.keys(above)) delete below[name];
  return overlay(lower, higher);
}

function fill(layer: Layer, tree: Tree, path: readonly string[]): void {
  for (const [key, value] of Object.entries(tree)) {
    const here = [...path, key];
    if (isTree(value) && Object.keys(value).length > 0) {
      layer.origins.set(here, { layer: 'code' });
      fill(layer, value, here);
    } else place(layer, here, value, { layer: 'code' });
  }
}

/** As the layers hold it. What is undefined was not given; what no setting can be is left for the schema to refuse. */
function treeOf(settings: CodeSettings): Tree {
  const tree = emptyTree();
  for (const [key, value] of Object.entries(settings)) if (value !== undefined) tree[key] = valueOf(value);
  return tree;
}

function valueOf(value: unknown): TreeValue {
  if (Array.isArray(value)) return value.map(valueOf);
  const plain = typeof value === 'object' && value !== null && isPlain(value);
  return plain ? treeOf(value as CodeSettings) : (value as TreeValue);
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

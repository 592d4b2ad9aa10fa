import {
  isTree,
  mergeTrees,
  place,
  TextValue,
  type Layer,
  type Tree,
  type TreeValue,
} from './config-layer.ts';
import { storageKinds } from './config-storage.ts';

/**
 * Says where the primary is: `repository` may be the name of one of `repositories`, and where it is not given the first
 * of them is meant. And lays what each place has of its own over the general settings of its kind of storage.
 */
export function settleRepositories(layer: Layer): void {
  const places = layer.values['repositories'];
  if (!isTree(places)) return;
  for (const one of Object.values(places)) if (isTree(one)) inherit(one, layer.values);
  const [first] = Object.keys(places);
  const named = textOf(layer.values['repository']) ?? first;
  const primary = named === undefined || !Object.hasOwn(places, named) ? undefined : places[named];
  if (named === undefined || !isTree(primary) || primary['url'] === undefined) return;
  const origin = layer.origins.exact(['repository']) ?? layer.origins.of(['repositories', named, 'url']);
  place(layer, ['repository'], primary['url'], origin);
}

function inherit(one: Tree, general: Tree): void {
  for (const kind of Object.keys(storageKinds)) {
    const own = one[kind];
    const above = general[kind];
    if (isTree(own) && isTree(above)) one[kind] = mergeTrees(above, own);
  }
}

function textOf(value: TreeValue | undefined): string | undefined {
  if (value instanceof TextValue) return value.text;
  return typeof value === 'string' ? value : undefined;
}

import { readFileSync, globSync } from 'node:fs';
import { dirname, join, posix, sep } from 'node:path';
import { scanImports, type ImportSite } from './import-scan.ts';
import { layers, splitFolders } from './layers.ts';

export interface Violation {
  /** Relative to the source folder. */
  readonly file: string;
  readonly line: number;
  readonly rule: string;
}

interface Edge extends ImportSite {
  readonly from: string;
  /** The imported file, relative to the source folder; undefined when it lies outside. */
  readonly to: string | undefined;
}

/** Checks every `.ts` file under `sourceFolder`. Throws when there is none: a check that reads nothing proves nothing. */
export function checkImports(sourceFolder: string): {
  readonly files: number;
  readonly violations: Violation[];
} {
  const files = globSync('**/*.ts', { cwd: sourceFolder })
    .map((file) => file.split(sep).join('/'))
    .toSorted();
  if (files.length === 0) throw new Error(`no .ts file under ${sourceFolder}`);
  const edges = files.flatMap((from) =>
    scanImports(readFileSync(join(sourceFolder, from), 'utf8'))
      .filter((site) => site.specifier.startsWith('.'))
      .map((site) => ({ ...site, from, to: resolveInside(from, site.specifier) })),
  );
  const known = new Set(files);
  const violations = [
    ...files
      .filter((file) => layerOf(file) === -1)
      .map((file) => ({ file, line: 1, rule: unknownFolder(file) })),
    ...edges.flatMap((edge) => {
      const rule = brokenRule(edge, known);
      return rule === undefined ? [] : [{ file: edge.from, line: edge.line, rule }];
    }),
    ...cycles(edges),
  ];
  return { files: files.length, violations };
}

function resolveInside(from: string, specifier: string): string | undefined {
  const to = posix.normalize(posix.join(posix.dirname(from), specifier));
  return to.startsWith('../') ? undefined : to;
}

const folderOf = (file: string): string => file.split('/')[0] ?? '';
const layerOf = (file: string): number => layers.findIndex((layer) => layer.includes(folderOf(file)));

function unknownFolder(file: string): string {
  return `${folderOf(file)} is not a folder of the house (see scripts/layers.ts)`;
}

function brokenRule(edge: Edge, known: ReadonlySet<string>): string | undefined {
  const { from, to, specifier } = edge;
  if (to === undefined) return `${specifier} lies outside src`;
  if (to.endsWith('.ts') && !known.has(to)) return `${specifier} does not exist`;
  const above = layerOf(from);
  const below = layerOf(to);
  if (above === -1 || below === -1) return undefined;
  if (below < above)
    return `${folderOf(from)} may not import from ${folderOf(to)}, which stands above it (${specifier})`;
  if (folderOf(from) !== folderOf(to)) {
    return below === above
      ? `${folderOf(from)} and ${folderOf(to)} stand side by side and may not see each other (${specifier})`
      : undefined;
  }
  const mine = subfolderOf(from);
  const theirs = subfolderOf(to);
  if (mine !== undefined && theirs !== undefined && mine !== theirs) {
    return `${mine} and ${theirs} stand side by side and may not see each other (${specifier})`;
  }
  return undefined;
}

/** `storage/fs` for a file inside it; undefined for files directly in the folder, and in folders not split. */
function subfolderOf(file: string): string | undefined {
  const folder = dirname(file).split('/');
  if (!splitFolders.has(folder[0] ?? '') || folder[1] === undefined) return undefined;
  return `${folder[0]}/${folder[1]}`;
}

/** One violation per cycle, at the import that closes it. Type imports count: they tie files together all the same. */
function cycles(edges: readonly Edge[]): Violation[] {
  const outgoing = Map.groupBy(edges, (edge) => edge.from);
  const state = new Map<string, 'open' | 'done'>();
  const found: Violation[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    state.set(file, 'open');
    for (const edge of outgoing.get(file) ?? []) {
      if (edge.to === undefined) continue;
      if (state.get(edge.to) === 'open') {
        // A worker that names its own module's file, or a task naming itself by URL, loads nothing twice.
        if (edge.kind === 'url' && edge.to === file) continue;
        const ring = [...path.slice(path.indexOf(edge.to)), edge.to];
        found.push({ file, line: edge.line, rule: `import cycle: ${ring.join(' -> ')}` });
      } else if (!state.has(edge.to)) {
        visit(edge.to, [...path, edge.to]);
      }
    }
    state.set(file, 'done');
  };
  for (const file of outgoing.keys()) if (!state.has(file)) visit(file, [file]);
  return found;
}

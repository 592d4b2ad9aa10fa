import type { Manifest } from '../contract/manifest.ts';
import type { NamedItem } from '../operations/export.ts';
import type { ExportItem } from '../sources/export-port.ts';

/** A file's name may have 255 bytes; ours get `.meta.json` and more around it. */
const longestPart = 80;

/** Names for the files of one export: `shop-orders-20261120T150000Z.sql.gz`. No two are the same. */
export function nameItems(manifest: Manifest, items: readonly ExportItem[]): NamedItem[] {
  const taken = new Set<string>();
  return items.map((item) => {
    const parts = [manifest.source.name, ...(item.label === '' ? [] : [item.label])].map(plainPart);
    const name = (number: string): string =>
      `${parts.join('-')}${number}-${compactTime(manifest.started_at)}${item.extension}`;
    let chosen = name('');
    for (let number = 2; taken.has(chosen); number += 1) chosen = name(`-${number}`);
    taken.add(chosen);
    return { item, name: chosen };
  });
}

/** `2026-11-20T15:00:00.123Z` as `20261120T150000Z`. */
export function compactTime(iso: string): string {
  return `${iso.slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
}

/** Part of a file's name that needs no quoting anywhere and is no hidden file. */
export function plainPart(text: string): string {
  const plain = text.replaceAll(/[^\p{L}\p{N}_.-]+/gu, '_').replace(/^[.-]+/, '_');
  const bytes = Buffer.from(plain === '' ? '_' : plain);
  // A character that is cut in two decodes to a replacement.
  return bytes.length <= longestPart
    ? bytes.toString()
    : bytes.toString('utf8', 0, longestPart).replace(/\uFFFD$/, '');
}

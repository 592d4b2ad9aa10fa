import { plural } from '../kernel/plural.ts';
import { filesMetadataSchema } from '../sources/files/metadata.ts';
import { bytes } from './format.ts';

/** What a backup of files holds, for people; undefined when it is one of something else. */
export function filesFacts(metadata: unknown): [string, string][] | undefined {
  const parsed = filesMetadataSchema.safeParse(metadata);
  if (!parsed.success) return undefined;
  const found = parsed.data;
  const read = found.files - found.unchanged;
  const links = found.symlinks + found.hardlinks;
  const folders = found.directories === 1 ? '1 directory' : `${found.directories} directories`;
  const troubles = [
    [found.changed, 'changed while they were read'],
    [found.vanished, 'gone when it was their turn'],
    [found.unreadable, 'could not be read'],
    [found.left_out, 'sockets, pipes and devices, left out'],
  ] as const;
  return [
    ...found.roots.map(({ path }): [string, string] => ['path', path]),
    [
      'files',
      `${found.files} with ${bytes(found.bytes)}: ${read} new or changed, ${found.unchanged} as before`,
    ],
    ['beside', `${folders}, ${plural(links, 'link')}`],
    ...troubles.flatMap(([count, what]): [string, string][] =>
      count > 0 ? [['note', `${count} ${what}`]] : [],
    ),
    ['attributes', found.xattrs ? 'in it' : 'not in it'],
  ];
}

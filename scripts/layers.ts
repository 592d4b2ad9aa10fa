/**
 * The house, top to bottom. A folder may import from folders on lower lines and from itself.
 * Folders on one line do not see each other; of `sources` and `storage` this holds for their subfolders too.
 */
export const layers: readonly (readonly string[])[] = [
  ['cli', 'http', 'sdk'],
  ['app'],
  ['daemon'],
  ['policy', 'notify'],
  ['operations'],
  ['repository'],
  ['sources', 'storage'],
  ['postgres'],
  ['pipeline'],
  ['contract'],
  ['kernel'],
];

/** Folders whose subfolders do not see each other; files directly inside them are seen by all of them. */
export const splitFolders: ReadonlySet<string> = new Set(['sources', 'storage']);

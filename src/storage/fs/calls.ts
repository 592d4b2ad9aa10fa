import { link, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';

/** The calls of the file system whose order or failure decides durability; tests hand in recording or failing ones. */
export interface FsCalls {
  readonly open: typeof open;
  readonly link: typeof link;
  readonly rename: typeof rename;
  readonly unlink: typeof unlink;
  readonly mkdir: typeof mkdir;
  readonly readdir: typeof readdir;
  readonly stat: typeof stat;
}

export const realFsCalls: FsCalls = { open, link, rename, unlink, mkdir, readdir, stat };

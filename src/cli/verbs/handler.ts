import type { Face } from '../face.ts';

/** Does what a verb says and answers the exit code. `options` are as `program.ts` declares them. */
export type Handler = (
  face: Face,
  args: readonly string[],
  options: Readonly<Record<string, unknown>>,
) => Promise<number>;

import { takePortrait, type Portrait } from './portrait.ts';
import { takeSqlitePortrait, type SqlitePortrait } from './sqlite-portrait.ts';
import type { Stage } from './stage.ts';
import { takeTreePortrait, type TreePortrait } from './tree-portrait.ts';

/** What all three sources hold. */
export interface Portraits {
  readonly shop: Portrait;
  readonly sessions: SqlitePortrait;
  readonly uploads: TreePortrait;
}

export async function takePortraits(stage: Stage, signal: AbortSignal): Promise<Portraits> {
  const [shop, uploads] = await Promise.all([
    takePortrait(stage, signal),
    takeTreePortrait(stage.uploads, signal),
  ]);
  return { shop, sessions: takeSqlitePortrait(stage.sessions), uploads };
}

import { rebuildIndex } from '../../app/rebuild-index.ts';
import { plural } from '../../kernel/plural.ts';
import { commonOptions } from './common.ts';
import type { Handler } from './handler.ts';

export const runRebuildIndex: Handler = (face, _args, options) =>
  face.run(
    (context) => rebuildIndex(commonOptions(options), context),
    ({ packs, written, removed, unreadable }) => {
      face.product(
        `${plural(written, 'index')} written, which ${written === 1 ? 'tells' : 'tell'} of ${plural(packs, 'pack')}; ${removed} removed\n`,
      );
      for (const id of unreadable) face.product(`nothing can be read of packs/${id.slice(0, 2)}/${id}\n`);
    },
  );

import { walPush } from '../../app/wal/push.ts';
import { commonOptions, text } from './common.ts';
import type { Handler } from './handler.ts';

export const runWalPush: Handler = (face, [path = ''], options) =>
  face.run(
    (context) => walPush({ ...commonOptions(options), path, source: text(options, 'source') }, context),
    ({ name, state, ahead }) => {
      const more = ahead.length === 0 ? '' : `, and ${ahead.length} more that waited`;
      face.say(`${name} ${states[state]}${more}\n`);
    },
  );

const states = {
  stored: 'is stored',
  already_there: 'is stored already',
  pushed_before: 'is stored already',
} as const;

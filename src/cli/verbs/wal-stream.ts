import { walStream } from '../../app/wal/stream.ts';
import { commonOptions, text } from './common.ts';
import type { Handler } from './handler.ts';

export const runWalStream: Handler = (face, _args, options) =>
  face.run(
    (context) =>
      walStream(
        {
          ...commonOptions(options),
          source: text(options, 'source'),
          synchronous: options['synchronous'] === true,
          once: options['once'] === true,
          createSlot: options['createSlot'] !== false,
        },
        context,
      ),
    ({ source, timeline, lsn, ended }) => {
      const why = ended === 'caught_up' ? 'all there was is stored' : 'stopped';
      face.say(`${source}: ${why}, up to ${lsn} of timeline ${timeline}\n`);
    },
  );

import { walGet } from '../../app/wal/get.ts';
import { failure } from '../../kernel/errors/failure.ts';
import { errorText, shownError } from '../error-text.ts';
import { commonOptions, text } from './common.ts';
import type { Handler } from './handler.ts';

/** What PostgreSQL makes of the exit code of `restore_command`: 1 is the end of the WAL, more than 125 stops the recovery. */
const notThere = 1;
const stopsRecovery = 126;

export const runWalGet: Handler = async (face, [name = '', path = ''], options) => {
  let isMissing = false;
  const source = text(options, 'source');
  const code = await face.run(
    async (context) => {
      const behind = text(options, 'behind');
      const result = await walGet({ ...commonOptions(options), name, path, source, behind }, context);
      isMissing = result.found === 'missing';
      return result;
    },
    ({ found }) => {
      if (found === 'beginning')
        face.say(`${name} is there as far as it was streamed; the rest is filled with zeros\n`);
      if (found === 'missing')
        face.say(errorText(shownError(failure('wal_not_there', { name }).toJSON()), face.colour));
    },
  );
  if (isMissing) return notThere;
  return code === 0 || code > stopsRecovery ? code : stopsRecovery;
};

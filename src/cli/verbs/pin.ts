import { pin, unpin, type PinResult } from '../../app/pin.ts';
import type { Face } from '../face.ts';
import { commonOptions, text } from './common.ts';
import type { Handler } from './handler.ts';

export const runPin: Handler = (face, [id = ''], options) =>
  face.run(
    (context) => pin({ ...commonOptions(options), id, reason: text(options, 'reason') }, context),
    (result) => render(face, result),
  );

export const runUnpin: Handler = (face, [id = ''], options) =>
  face.run(
    (context) => unpin({ ...commonOptions(options), id }, context),
    (result) => render(face, result),
  );

function render(face: Face, { backup, pin: held, changed }: PinResult): void {
  const of = backup.source === null ? '' : ` of ${backup.source}`;
  const reason = held === null || held.reason === '' ? '' : `: ${held.reason}`;
  const state = held === null ? 'not pinned' : 'pinned';
  const how = changed ? (held === null ? 'not pinned any more' : 'pinned') : `${state}, as it was before`;
  face.say(`backup ${backup.id.slice(0, 8)}${of} is ${how}${reason}\n`);
}

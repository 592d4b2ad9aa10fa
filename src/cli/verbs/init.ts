import { init, type InitResult } from '../../app/init.ts';
import type { Face } from '../face.ts';
import { commonOptions, text } from './common.ts';
import type { Handler } from './handler.ts';

export const runInit: Handler = (face, _args, options) =>
  face.run(
    (context) =>
      init(
        {
          ...commonOptions(options),
          encryption: options['encryption'] !== false,
          label: text(options, 'label'),
          recoveryKit: text(options, 'recoveryKit'),
          createBucket: options['createBucket'] === true,
        },
        context,
      ),
    (result) => render(face, result),
  );

function render(face: Face, { created, repository, recovery_kit: kit }: InitResult): void {
  const { id, location, encrypted } = repository;
  face.say(
    `${created ? 'created' : 'already there'}: repository ${id} in ${location}, ${encrypted ? 'encrypted' : 'not encrypted'}\n`,
  );
  if (kit !== null) face.say(`recovery kit: ${kit}\n  print it or keep it away from this machine\n`);
  if (created) face.say('next: holdfast backup\n');
}

import { demo } from '../../app/demo/demo.ts';
import { demoEnding, demoParagraph } from '../demo-story.ts';
import { commonOptions } from './common.ts';
import type { Handler } from './handler.ts';

export const runDemo: Handler = (face, _args, options) => {
  const { json, quiet } = face.options;
  const colour = face.productColour;
  return face.run(
    (context) =>
      demo(
        {
          ...commonOptions(options),
          keep: options['keep'] === true,
          tamper: options['tamper'] === true,
          tell: (event) => {
            face.event({ ...event });
            if (!json && !quiet) face.product(demoParagraph(event, colour));
          },
        },
        context,
      ),
    (result) => {
      // What still runs must be told.
      if (!quiet || result.kept !== null) face.product(demoEnding(result, colour));
    },
  );
};

import { commonOptions } from './common.ts';
import type { Handler } from './handler.ts';

export const runDemo: Handler = (face, _args, options) =>
  face.run(
    async (context) => {
      const { demo } = await import('../../app/demo.ts');
      return demo({ ...commonOptions(options), keep: options['keep'] === true }, context);
    },
    // It speaks while it runs.
    () => {},
  );

import { failure } from '../../kernel/errors/failure.ts';
import type { AppContext, Outcome } from '../../app/compose.ts';
import { commonOptions } from './common.ts';
import type { Handler } from './handlers.ts';

interface DemoModule {
  readonly demo: (options: { readonly keep: boolean }, context: AppContext) => Promise<Outcome>;
}

export const runDemo: Handler = (face, _args, options) =>
  face.run(
    async (context) => (await loadDemo()).demo({ ...commonOptions(options), keep: options['keep'] === true }, context),
    // It speaks while it runs.
    () => {},
  );

async function loadDemo(): Promise<DemoModule> {
  const place = new URL('../../app/demo.ts', import.meta.url).href;
  try {
    return (await import(place)) as DemoModule;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    const suggestion = 'from a checkout: npm run demo';
    throw failure('not_in_this_version', { what: 'holdfast demo', suggestion }, { cause: error });
  }
}

import { failure } from '../kernel/errors/failure.ts';
import type { AppContext, CommonOptions, Outcome } from './compose.ts';

export interface DemoOptions extends CommonOptions {
  /** Keep the server and the repository for playing. */
  readonly keep: boolean;
}

export async function demo(_options: DemoOptions, _context: AppContext): Promise<Outcome> {
  throw failure('not_in_this_version', {
    what: 'holdfast demo',
    suggestion: 'holdfast --help lists what this version does',
  });
}

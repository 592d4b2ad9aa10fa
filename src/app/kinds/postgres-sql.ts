import { randomHex } from '../random-hex.ts';
import { failure } from '../../kernel/errors/failure.ts';
import { planScriptExport } from '../../sources/postgres-logical/script-export.ts';
import {
  planScriptRestore,
  runScriptRestore,
  scriptNeeded,
} from '../../sources/postgres-logical/script-restore.ts';
import type { ExportKind } from './export-kind.ts';
import type { RestorableKind } from './kind.ts';
import { restoreTarget } from './postgres-target.ts';

/** Scripts for psql that were imported. */
export const postgresSqlKind: RestorableKind = {
  async planRestore(app, manifest, wish, context) {
    const target = restoreTarget(wish.to, app.env, manifest);
    const odd =
      wish.only.length > 0
        ? '--only'
        : wish.globals
          ? '--globals'
          : !wish.owner
            ? '--no-owner'
            : !wish.privileges
              ? '--no-privileges'
              : undefined;
    if (odd !== undefined) throw refused(odd);
    if (target.password !== undefined) app.secrets.push(target.password);
    const config = app.config.sources[manifest.source.name];
    const toolsDirectory = config?.type === 'postgres' ? config.client_bin : undefined;
    const options = { target, force: wish.force, toolsDirectory, randomHex, env: app.env };
    const plan = await planScriptRestore(options, context);
    const nowNs = (): bigint => app.machine.clock.monotonicNs();
    return {
      summary: plan.summary,
      needs: scriptNeeded,
      run: (running) => runScriptRestore(plan, running, nowNs),
    };
  },
};

export const exportScript: ExportKind = async (_app, _manifest, { format, only }, context) => {
  if (only.length > 0) throw refused('--only');
  if (format !== undefined && format !== 'sql') throw refused(`--format ${format}`);
  return await planScriptExport(context);
};

function refused(option: string): Error {
  return failure('export_options', {
    option,
    kind: 'a script',
    suggestion: 'leave it out: a script is run, or written, as it is',
  });
}

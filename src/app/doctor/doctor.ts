import { failure } from '../../kernel/errors/failure.ts';
import type { Finding } from '../../sources/port.ts';
import { checkSource, errorOfFinding } from '../check-source.ts';
import { withApp, type App, type AppContext, type CommonOptions, type Outcome } from '../compose.ts';
import { checkConfiguration, checkMachine } from './machine.ts';
import { checkRepository } from './repository.ts';

export interface DoctorResult extends Outcome {
  readonly findings: readonly Finding[];
  readonly errors: number;
  readonly warnings: number;
}

/** Looks at everything a backup needs, and says how to mend what is amiss. Only looks; writes a few small objects into the
 * repository's place and removes them. */
export async function doctor(options: CommonOptions, context: AppContext): Promise<DoctorResult> {
  return withApp(options, context, null, async (app) => {
    const findings: Finding[] = [];
    const checks: ((app: App) => Promise<readonly Finding[]>)[] = [
      checkMachine,
      checkConfiguration,
      checkRepository,
      checkSources,
    ];
    for (const check of checks) {
      app.signal.throwIfAborted();
      const found = await check(app);
      findings.push(...found);
      for (const finding of found) app.observer.event({ type: 'finding', ...finding });
    }
    return summarize(findings);
  });
}

async function checkSources(app: App): Promise<readonly Finding[]> {
  const sources = Object.entries(app.config.sources);
  if (sources.length === 0) {
    const { message, hint } = failure('source_none', {});
    return [{ check: 'sources', level: 'warning', message, mend: hint }];
  }
  const all: Finding[] = [];
  for (const [name, config] of sources) all.push(...(await checkSource(app, { name, config })));
  return all;
}

function summarize(findings: readonly Finding[]): DoctorResult {
  const errors = findings.filter(({ level }) => level === 'error');
  const warnings = findings.filter(({ level }) => level === 'warning').length;
  const error = errors.length === 0 ? {} : { error: overall(errors) };
  return { schema: 1, ok: errors.length === 0, ...error, findings, errors: errors.length, warnings };
}

/** A single error with a code is the command's own; several are `doctor_failed`. */
function overall(errors: readonly Finding[]): Record<string, unknown> {
  const [first] = errors;
  const single = first === undefined || errors.length > 1 ? undefined : errorOfFinding(first);
  const checks = [...new Set(errors.map(({ check }) => check))].join(', ');
  return single ?? failure('doctor_failed', { checks }).toJSON();
}

import { catalogue } from '../kernel/errors/catalogue.ts';
import type { ErrorEntry } from '../kernel/errors/define.ts';
import { asFailure } from '../kernel/errors/failure.ts';
import type { Finding } from '../sources/port.ts';
import type { App } from './compose.ts';
import { kindOf } from './kinds/find.ts';
import type { ChosenSource } from './sources.ts';

/** Looks at a source whether it could be backed up. Nothing is thrown but the signal's reason. */
export async function checkSource(app: App, { name, config }: ChosenSource): Promise<readonly Finding[]> {
  try {
    const findings = await (await kindOf(config.type)).check(app, name, config);
    return findings.map((finding) => ({ ...finding, check: `${name}: ${finding.check}` }));
  } catch (error) {
    app.signal.throwIfAborted();
    const { message, hint, code } = asFailure(error);
    return [{ check: name, level: 'error', message, mend: hint, code }];
  }
}

/** A finding that stands for a coded error, as that error's JSON; undefined for one that has no code. */
export function errorOfFinding({ code, message, mend }: Finding): Record<string, unknown> | undefined {
  const [name, entry] =
    Object.entries<ErrorEntry>(catalogue).find(([, { code: known }]) => known === code) ?? [];
  if (name === undefined || entry === undefined) return undefined;
  const { kind, retryable } = entry;
  return { code, name, kind, message, hint: mend ?? '', retryable };
}

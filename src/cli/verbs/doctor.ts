import { doctor } from '../../app/doctor/doctor.ts';
import type { Finding } from '../../sources/port.ts';
import { commonOptions } from './common.ts';
import type { Handler } from './handlers.ts';

export const runDoctor: Handler = (face, _args, options) =>
  face.run(
    (context) => doctor(commonOptions(options), context),
    (result) => face.product(findingLines(result.findings)),
  );

const marks = { ok: 'ok     ', warning: 'warning', error: 'ERROR  ' } as const;

export function findingLines(findings: readonly Finding[]): string {
  return findings
    .map(({ level, check, message, mend, code }) => {
      const head = `${marks[level]} ${check}: ${code === undefined ? '' : `[${code}] `}${message}\n`;
      return mend === undefined || level === 'ok' ? head : `${head}        mend: ${mend}\n`;
    })
    .join('');
}

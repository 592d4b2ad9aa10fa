import type { Finding } from '../sources/port.ts';

const marks = { ok: 'ok     ', warning: 'warning', error: 'ERROR  ' } as const;

export function findingLines(findings: readonly Finding[]): string {
  return findings
    .map(({ level, check, message, mend, code }) => {
      const head = `${marks[level]} ${check}: ${code === undefined ? '' : `[${code}] `}${message}\n`;
      return mend === undefined || level === 'ok' ? head : `${head}        mend: ${mend}\n`;
    })
    .join('');
}

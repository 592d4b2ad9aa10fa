import { explainError, type ExplainResult } from '../../app/explain-error.ts';
import { wrapped } from '../format.ts';
import type { Face } from '../face.ts';

export function runHelpError(face: Face, code: string): Promise<number> {
  return face.run(
    async () => explainError(code),
    ({ explained }) => face.product(page(explained)),
  );
}

const width = 100;

function page({ code, kind, exit_code, retryable, message, hint, explanation }: ExplainResult['explained']) {
  const again = retryable ? 'the same command may succeed later' : 'something has to change first';
  return [
    wrapped(`${code}: ${message}`, width),
    wrapped(explanation, width),
    wrapped(`hint: ${hint}`, width),
    `exit code ${exit_code} (${kind}); ${again}`,
  ]
    .map((part) => `${part}\n`)
    .join('\n');
}

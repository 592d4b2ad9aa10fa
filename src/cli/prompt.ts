import { createInterface } from 'node:readline/promises';
import { StringDecoder } from 'node:string_decoder';
import type { Asker } from '../app/observer.ts';
import { failure } from '../kernel/errors/failure.ts';
import { Secret } from '../kernel/secret.ts';
import type { Terminal } from './terminal.ts';

/** Asks on the terminal; null where nobody sits. */
export function terminalAsker(terminal: Terminal, signal: AbortSignal, interrupt: () => void): Asker | null {
  if (!terminal.interactive) return null;
  return {
    secret: (question) => readHidden(terminal, question, signal, interrupt),
    confirm: async (question) => {
      const lines = createInterface({ input: terminal.stdin, output: terminal.stderr });
      lines.on('SIGINT', interrupt);
      try {
        const answer = await lines.question(`${question} [y/N] `, { signal });
        return /^y(es)?$/i.test(answer.trim());
      } catch (error) {
        signal.throwIfAborted();
        throw error;
      } finally {
        lines.close();
      }
    },
  };
}

/** Reads a line without showing it. Ctrl-C interrupts, Ctrl-D on an empty line answers nothing. */
function readHidden(
  terminal: Terminal,
  question: string,
  signal: AbortSignal,
  interrupt: () => void,
): Promise<Secret> {
  const { stdin, stderr } = terminal;
  return new Promise((resolve, reject) => {
    const decoder = new StringDecoder('utf8');
    let typed: string[] = [];
    const end = (settle: () => void): void => {
      stdin.off('data', onData);
      signal.removeEventListener('abort', onAbort);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write('\n');
      settle();
    };
    const onAbort = (): void => end(() => reject(signal.reason as Error));
    const onData = (chunk: Buffer): void => {
      for (const char of decoder.write(chunk)) {
        if (char === '\r' || char === '\n') return end(() => resolve(new Secret(typed.join(''))));
        if (char === '\u0003') return interrupt();
        if (char === '\u0004' && typed.length === 0) {
          return end(() =>
            reject(failure('needs_answer', { question, flag: 'HOLDFAST_PASSPHRASE in the environment' })),
          );
        }
        if (char === '\u007f' || char === '\b') typed.pop();
        else if (char === '\u0015') typed = [];
        else if (char >= ' ') typed.push(char);
      }
    };
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    stderr.write(`${question}: `);
    stdin.setRawMode(true);
    stdin.resume();
    stdin.on('data', onData);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

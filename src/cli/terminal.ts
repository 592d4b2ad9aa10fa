import type { ReadStream } from 'node:tty';

/** The streams of a command, and what they can do. */
export interface Terminal {
  readonly stdin: NodeJS.ReadStream | ReadStream;
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  /** Somebody sits there who can be asked. */
  readonly interactive: boolean;
  /** Standard error is a screen: progress may redraw its line. */
  readonly screen: boolean;
  readonly colour: boolean;
}

/** After https://no-color.org: any value of NO_COLOR but the empty one means none. */
export function systemTerminal(
  { stdin, stdout, stderr }: Pick<NodeJS.Process, 'stdin' | 'stdout' | 'stderr'>,
  env: Readonly<Record<string, string | undefined>>,
): Terminal {
  const screen = stderr.isTTY && env['TERM'] !== 'dumb';
  return {
    stdin,
    stdout,
    stderr,
    interactive: stdin.isTTY && stderr.isTTY,
    screen,
    colour: screen && (env['NO_COLOR'] ?? '') === '',
  };
}

import { spawn, type ChildProcess } from 'node:child_process';

/** Ends a server and removes its directory when this process dies. */
export interface Guard {
  /** The work is done here: what is left of the directory is removed now. */
  release(): void;
  /** Lets server and directory live on. */
  disarm(): void;
}

/**
 * A shell that waits for the end of its standard input, which the kernel closes however we die, SIGKILL included;
 * it then ends the server whose data are in `<base>/data` and removes `base`.
 */
export function guardDirectory(base: string): Guard {
  const script = `trap '' INT TERM HUP
    cat >/dev/null
    pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
    if [ -n "$pid" ]; then
      kill -QUIT "$pid" 2>/dev/null
      for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" 2>/dev/null || break; sleep 0.2; done
      kill -KILL "$pid" 2>/dev/null
    fi
    rm -rf "$1"`;
  const shell: ChildProcess = spawn('/bin/sh', ['-c', script, 'holdfast-guard', base], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  shell.unref();
  (shell.stdin as unknown as { unref?: () => void }).unref?.();
  return {
    release: () => shell.stdin?.end(),
    disarm: () => {
      shell.kill('SIGKILL');
      // The cat inside it ends with its input.
      shell.stdin?.end();
    },
  };
}

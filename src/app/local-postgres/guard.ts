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
 * it then ends the server of that data directory, if there is one, and removes `directory`.
 */
export function guardDirectory(directory: string, dataDirectory: string): Guard {
  // Several rounds: what died with us may still have been starting the server, or writing.
  const script = `trap '' INT TERM HUP
    cat >/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10; do
      pid=$(head -n 1 "$2/postmaster.pid" 2>/dev/null)
      pid=\${pid#-}
      if [ -n "$pid" ]; then
        kill -QUIT "$pid"
        for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" || break; sleep 0.2; done
        kill -KILL "$pid"
      fi
      rm -rf "$1"
      [ -e "$1" ] || break
      sleep 0.2
    done`;
  const shell: ChildProcess = spawn('/bin/sh', ['-c', script, 'holdfast-guard', directory, dataDirectory], {
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

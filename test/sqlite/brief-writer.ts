import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';

export interface BriefWriter extends Disposable {
  readonly acknowledged: readonly number[];
  readonly unexpected: readonly string[];
  stop(): Promise<void>;
}

/** `stays`: it keeps its connection. */
export async function startBriefWriter(
  file: string,
  journal: string,
  how: 'leaves' | 'stays' = 'leaves',
): Promise<BriefWriter> {
  const script = join(import.meta.dirname, 'brief-writer-process.ts');
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', script, file, journal, how],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const acknowledged: number[] = [];
  const unexpected: string[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => (/^\d+$/.test(line) ? acknowledged.push(Number(line)) : unexpected.push(line)));
  await once(lines, 'line');
  return {
    acknowledged,
    unexpected,
    stop: async () => {
      child.stdin.end();
      await once(lines, 'close');
    },
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  };
}

/** The rows of such a writer that a database holds. */
export function rowsOf(file: string): number[] {
  const database = new DatabaseSync(file);
  try {
    return database
      .prepare('SELECT id FROM acknowledged')
      .all()
      .map(({ id }) => Number(id));
  } finally {
    database.close();
  }
}

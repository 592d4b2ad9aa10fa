import { say } from './arena.ts';
import { readFlags, usage } from './flags.ts';

const [mode = '', ...args] = process.argv.slice(2);
const modes: Readonly<Record<string, () => Promise<unknown>>> = {
  postgres: async () => {
    const flags = readFlags(args, 2.6);
    if (flags.profile) await (await import('./profile.ts')).profilePostgres(flags);
    else await (await import('./postgres.ts')).benchPostgres(flags);
  },
  cluster: async () => await (await import('./cluster.ts')).benchCluster(readFlags(args, 2.6, '20000')),
  wal: async () => await (await import('./wal.ts')).benchWal(readFlags(args, 1)),
  files: async () => await (await import('./trees.ts')).benchTrees('files', readFlags(args, 1)),
  sqlite: async () => await (await import('./trees.ts')).benchTrees('sqlite', readFlags(args, 1)),
  s3: async () => await (await import('./s3.ts')).benchS3(readFlags(args, 1)),
  memory: async () => await (await import('./memory.ts')).benchMemory(readFlags(args, 5)),
  dedup: async () => await (await import('./dedup.ts')).benchDedup(readFlags(args, 1)),
  wasm: async () => await import('./wasm.ts'),
};

const chosen = modes[mode];
if (chosen === undefined || args.includes('--help')) {
  process.stdout.write(usage);
  process.exitCode = mode === '' || args.includes('--help') ? 0 : 2;
} else {
  try {
    await chosen();
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}

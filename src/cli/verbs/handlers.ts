import type { Handler } from './handler.ts';

/** Each loaded only when its verb runs. */
export const handlers: Readonly<Record<string, () => Promise<Handler>>> = {
  init: async () => (await import('./init.ts')).runInit,
  backup: async () => (await import('./backup.ts')).runBackup,
  restore: async () => (await import('./restore.ts')).runRestore,
  export: async () => (await import('./export.ts')).runExport,
  import: async () => (await import('./import.ts')).runImport,
  list: async () => (await import('./list.ts')).runList,
  size: async () => (await import('./size.ts')).runSize,
  info: async () => (await import('./info.ts')).runInfo,
  verify: async () => (await import('./verify.ts')).runVerify,
  'key list': async () => (await import('./key.ts')).runKeyList,
  'key add': async () => (await import('./key.ts')).runKeyAdd,
  'key remove': async () => (await import('./key.ts')).runKeyRemove,
  'key change': async () => (await import('./key.ts')).runKeyChange,
  'wal push': async () => (await import('./wal-push.ts')).runWalPush,
  'wal get': async () => (await import('./wal-get.ts')).runWalGet,
  'wal status': async () => (await import('./wal-status.ts')).runWalStatus,
  'wal stream': async () => (await import('./wal-stream.ts')).runWalStream,
  doctor: async () => (await import('./doctor.ts')).runDoctor,
  demo: async () => (await import('./demo.ts')).runDemo,
  'config validate': async () => (await import('./config.ts')).runConfigValidate,
  'config show': async () => (await import('./config.ts')).runConfigShow,
  'config schema': async () => (await import('./config.ts')).runConfigSchema,
  'config template': async () => (await import('./config.ts')).runConfigTemplate,
  completion: async () => (await import('./completion.ts')).runCompletion,
};

import { z } from 'zod';
import { retentionSchema, timeZoneSchema } from './config-retention.ts';
import { jobsSchema, secretSchema, setting, sizeSchema, textSchema } from './config-setting.ts';
import { repositorySchema } from './config-repository.ts';
import { sourceSchema } from './config-source.ts';
import { verifySchema } from './config-verify.ts';
import { pruneSchema } from './config-prune.ts';
import { storageSections } from './config-storage.ts';

const yesNo = z.boolean({ error: 'must be true or false' });

const encryptionSchema = z
  .strictObject({
    enabled: setting(yesNo.default(true), {
      description:
        'Whether init creates an encrypted repository. Without encryption damage is still detected, but anyone who can read the place can read the backups',
    }),
    passphrase: setting(secretSchema.optional(), {
      description: 'The passphrase that opens the repository. Better given by the variable than written here',
      env: 'HOLDFAST_PASSPHRASE',
      secret: 'value',
      defaultText: 'the key file that init made, else asked for on a terminal',
      example: '${HOLDFAST_PASSPHRASE}',
    }),
    passphrase_file: setting(textSchema.optional(), {
      description: 'File whose first line is the passphrase',
      env: 'HOLDFAST_PASSPHRASE_FILE',
      path: true,
      example: '/run/secrets/holdfast',
    }),
    passphrase_command: setting(textSchema.optional(), {
      description: 'Shell command whose first line of output is the passphrase; it has a minute',
      env: 'HOLDFAST_PASSPHRASE_COMMAND',
      example: 'pass show holdfast',
    }),
    agent_file: setting(textSchema.optional(), {
      description:
        'File with credentials of holdfast key agent, instead of a passphrase: with them backups and WAL can be added, and nothing can be read or removed',
      path: true,
      example: '/etc/holdfast/agent.json',
    }),
  })
  .superRefine((encryption, context) => {
    const given = (['passphrase', 'passphrase_file', 'passphrase_command', 'agent_file'] as const).filter(
      (key) => encryption[key] !== undefined,
    );
    const [first, second] = given;
    if (first === undefined || second === undefined) return;
    context.addIssue({
      code: 'custom',
      path: [second],
      params: { contradicts: first },
      message: 'contradiction',
    });
  });

const levels: Readonly<Record<'zstd' | 'gzip', readonly [number, number]>> = { zstd: [1, 19], gzip: [1, 9] };

const compressionSchema = z
  .strictObject({
    codec: setting(z.enum(['zstd', 'gzip', 'none']).default('zstd'), {
      description: 'How chunks are compressed. What does not get smaller is stored as it is',
    }),
    level: setting(z.number({ error: 'must be a number' }).int().optional(), {
      description: 'How hard to try: 1 to 19 for zstd, 1 to 9 for gzip',
      defaultText: '1 for zstd, 6 for gzip',
      example: '1',
    }),
  })
  .superRefine(({ codec, level }, context) => {
    if (level === undefined) return;
    if (codec === 'none') {
      context.addIssue({
        code: 'custom',
        path: ['level'],
        params: { contradicts: 'codec' },
        message: 'contradiction',
      });
      return;
    }
    const [low, high] = levels[codec];
    if (level >= low && level <= high) return;
    context.addIssue({
      code: 'custom',
      path: ['level'],
      message: `must be from ${low} to ${high} for ${codec}`,
    });
  });

const logSchema = z.strictObject({
  level: setting(z.enum(['debug', 'info', 'warn', 'error']).default('info'), {
    description:
      'How much goes into the log file. Standard error shows warnings, or as much as --log-level says',
  }),
  format: setting(z.enum(['pretty', 'json']).default('pretty'), {
    description: 'How log lines on standard error are written. The log file is always JSON lines',
  }),
  file: setting(textSchema.optional(), {
    description: 'The log file',
    path: true,
    defaultText: '~/.local/state/holdfast/holdfast.log, or under XDG_STATE_HOME',
    example: '/var/log/holdfast/holdfast.log',
  }),
  max_size: setting(sizeSchema.prefault('10MB'), {
    description: 'The log file is rotated before it grows beyond this',
  }),
  keep: setting(z.number({ error: 'must be a number' }).int().min(0).max(1000).default(5), {
    description: 'How many rotated log files are kept',
  }),
});

const auditSchema = z.strictObject({
  file: setting(textSchema.optional(), {
    description: 'The audit trail: one line for every operation, only ever appended to',
    path: true,
    defaultText: '~/.local/state/holdfast/audit.jsonl, or under XDG_STATE_HOME',
    example: '/var/log/holdfast/audit.jsonl',
  }),
});

const sourceName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, {
  error: 'a name of a source is made of letters, digits, - and _, and starts with a letter or digit',
});

/**
 * The whole configuration. The parsed type, the JSON Schema, the environment variables, the template and the reference
 * page all come from this one schema.
 */
export const configSchema = z.strictObject({
  repository: setting(textSchema.default('./backups'), {
    description:
      'Where the repository is: a path, file:///path, s3://bucket/prefix, sftp://user@host/path, azure://container/prefix, gs://bucket/prefix or gdrive://folder; or the name of one of repositories',
    example: './backups',
    path: true,
  }),
  repositories: z.record(sourceName, repositorySchema).default({}),
  ...storageSections,
  encryption: encryptionSchema.prefault({}),
  sources: z.record(sourceName, sourceSchema).default({}),
  retention: retentionSchema.optional(),
  prune: pruneSchema.prefault({}),
  verify: verifySchema.prefault({}),
  compression: compressionSchema.prefault({}),
  jobs: setting(jobsSchema(), {
    description:
      'How many things run at once; auto is the number of processors, at most 6. Each job takes about 40 MiB of memory',
  }),
  parallel_sources: setting(
    z
      .number({ error: 'must be a number' })
      .int()
      .min(1)
      .max(16, { error: 'must be from 1 to 16' })
      .default(2),
    {
      description:
        'How many sources one backup command reads at once. They share the jobs, each having at least 2; each takes memory of its own',
    },
  ),
  timezone: setting(timeZoneSchema.optional(), {
    description: 'The time zone in which days, weeks, months and years begin for retention',
    defaultText: 'that of the machine',
    example: 'Europe/Berlin',
  }),
  log: logSchema.prefault({}),
  audit: auditSchema.prefault({}),
  status_directory: setting(textSchema.optional(), {
    description:
      'Where backup and verify leave a small file each time they succeed, last-success-backup-SOURCE and last-success-verify, for monitors that look at the age of files. None unless given',
    path: true,
    example: '/var/lib/holdfast/status',
  }),
  cache_directory: setting(textSchema.optional(), {
    description: 'Where indexes are cached. It may be deleted at any time',
    path: true,
    defaultText: '~/.cache/holdfast, or under XDG_CACHE_HOME',
    example: '/var/cache/holdfast',
  }),
  temp_directory: setting(textSchema.optional(), {
    description: 'Where temporary files go',
    path: true,
    defaultText: 'TMPDIR, else /tmp',
    example: '/var/tmp',
  }),
});

export type Config = z.output<typeof configSchema>;

/** Top-level keys that are planned: named as such instead of being called unknown. */
export const laterKeys: readonly string[] = [
  'schedules',
  'schedule',
  'alerts',
  'notify',
  'serve',
  'server',
  'wal',
  'drill',
];

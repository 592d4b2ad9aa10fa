import { z } from 'zod';
import { durationSchema, setting, textSchema } from './config-setting.ts';

/** How repositories on servers with SFTP are reached. Everything else is in the configuration of ssh itself. */
export const sftpSchema = z.strictObject({
  ssh: setting(textSchema.default('ssh'), {
    description: 'The ssh program: a name to look for in PATH, or a path. It must be OpenSSH',
  }),
  identity_file: setting(textSchema.optional(), {
    description: 'The private key to log in with, and no other',
    path: true,
    defaultText: 'what ssh finds: its configuration, the agent, ~/.ssh/id_…',
    example: '/etc/holdfast/id_ed25519',
  }),
  known_hosts_file: setting(textSchema.optional(), {
    description: 'File with the keys of the servers that may be talked to',
    path: true,
    defaultText: '~/.ssh/known_hosts',
    example: '/etc/holdfast/known_hosts',
  }),
  config_file: setting(textSchema.optional(), {
    description: 'The configuration of ssh to use',
    path: true,
    defaultText: '~/.ssh/config and /etc/ssh/ssh_config',
    example: '/etc/holdfast/ssh_config',
  }),
  options: setting(
    z
      .array(
        z.string({ error: 'must be text' }).regex(/^[A-Za-z][A-Za-z0-9]*=\S/, {
          error: 'must be an option of ssh_config, such as ProxyJump=bastion.example.com',
        }),
        { error: 'must be a list of options' },
      )
      .default([]),
    {
      description: 'Further options of ssh, as after its -o',
      example: '[ProxyJump=bastion.example.com]',
    },
  ),
  connect_timeout: setting(durationSchema.prefault('30s'), {
    description: 'How long connecting to a server and logging in may take',
  }),
  connections: setting(
    z
      .number({ error: 'must be a whole number from 1 to 16' })
      .int()
      .min(1, { error: 'must be from 1 to 16' })
      .max(16, { error: 'must be from 1 to 16' })
      .default(4),
    {
      description: 'How many connections to one server at most; they are made as they are needed',
    },
  ),
  allow_unflushed: setting(z.boolean({ error: 'must be true or false' }).default(false), {
    description:
      'Write also to servers that cannot flush a file to the disk (no fsync@openssh.com): a power cut there may then lose what was reported as stored',
  }),
});

export type SftpConfig = z.output<typeof sftpSchema>;

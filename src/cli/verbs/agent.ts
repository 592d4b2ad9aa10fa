import { makeAgent } from '../../app/agent.ts';
import { commonOptions, text } from './common.ts';
import type { Handler } from './handler.ts';

export const runKeyAgent: Handler = (face, _args, options) =>
  face.run(
    (context) =>
      makeAgent(
        {
          ...commonOptions(options),
          out: text(options, 'out'),
          label: text(options, 'label'),
          policy: text(options, 'policy') === undefined ? undefined : 's3',
        },
        context,
      ),
    ({ agent, policy }) => {
      if (policy !== null) face.product(`${JSON.stringify(policy, null, 2)}\n`);
      if (agent === null) return;
      face.say(
        `${agent.path} (${agent.label}) lets a machine add backups and WAL to ${agent.location}, and read or remove nothing.\n` +
          'Move it there, name it with encryption.agent_file or HOLDFAST_ENCRYPTION_AGENT_FILE, and give that machine an account\n' +
          'of the storage that can add and list, and no more: docs/agents.md\n',
      );
    },
  );

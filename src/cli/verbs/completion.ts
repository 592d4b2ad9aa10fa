import { bashScript } from '../completion/bash.ts';
import { fishScript } from '../completion/fish.ts';
import { modelOf, type VerbModel } from '../completion/model.ts';
import { zshScript } from '../completion/zsh.ts';
import { createProgram } from '../program.ts';
import type { Handler } from './handler.ts';

const scripts: Readonly<Record<string, (program: VerbModel) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** `shell` has been checked against the choices of program.ts. */
export const runCompletion: Handler = (face, [shell = '']) =>
  face.run(
    async () => {
      const program = modelOf(createProgram('', async () => {}));
      return { schema: 1, ok: true, shell, script: scripts[shell]?.(program) ?? '' } as const;
    },
    (result) => face.product(result.script),
  );

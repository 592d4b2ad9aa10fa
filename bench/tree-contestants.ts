import { holdfast, type Contestant } from './contestants.ts';

/** One way to back up what is in $DATA and to get it back into $TARGET, as bash commands run in a directory of its own. */
export interface TreeContestant extends Pick<
  Contestant,
  'name' | 'settings' | 'tool' | 'prepare' | 'backup'
> {
  readonly restore: string;
}

/** What Node compiles it keeps for the next start: as with a program that was used before, in a repository of its own. */
const runOnce = `mkdir once && echo 1 >once/file && export HOLDFAST_REPOSITORY="$PWD/once-repository" && '${holdfast}' init --quiet && '${holdfast}' backup --from files:once --quiet`;

/** Of `files`, or of `sqlite`: those who know nothing of databases copy the file while nobody writes to it. */
export function treeContestants(kind: 'files' | 'sqlite'): readonly TreeContestant[] {
  const from = kind === 'files' ? 'files:$DATA' : 'sqlite:$DATA/app.db';
  const target = kind === 'files' ? '$TARGET' : '$TARGET/app.db';
  const prepareTarget = kind === 'files' ? '' : 'mkdir "$TARGET" && ';
  return [
    {
      name: 'holdfast',
      settings: 'encrypted, zstd 1, default jobs',
      tool: 'holdfast',
      prepare: `'${holdfast}' init --quiet && ${runOnce}`,
      backup: `'${holdfast}' backup --from "${from}" --json`,
      restore: `${prepareTarget}'${holdfast}' restore latest --to "${target}" --json`,
    },
    {
      name: 'restic',
      settings: 'encrypted, repository version 2, compression auto',
      tool: 'restic',
      prepare: 'restic init --quiet --repository-version 2',
      backup: 'cd "$DATA" && restic backup --quiet .',
      restore: 'restic restore --quiet latest --target "$TARGET"',
    },
    {
      name: 'borg',
      settings: 'encrypted (repokey), zstd 3',
      tool: 'borg',
      prepare: 'borg init --encryption repokey',
      backup: 'cd "$DATA" && borg create --compression zstd,3 "::{utcnow:%Y%m%d-%H%M%S-%f}" .',
      restore: `mkdir "$TARGET" && cd "$TARGET" && borg extract "::$(borg list --last 1 --format '{archive}')"`,
    },
  ];
}

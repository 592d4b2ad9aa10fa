import { z } from 'zod';
import { sourceRetentionSchema } from './config-retention.ts';
import { jobsSchema, pathsSchema, setting, tagsSetting, textSchema } from './config-setting.ts';
import { maxAgeSetting } from './config-verify.ts';

const patterns = z.array(textSchema, { error: 'must be a list of patterns' }).default([]);
const yesNo = z.boolean({ error: 'must be true or false' });

/** A source of type `files`: directories and files with all that belongs to them. */
export const filesSourceSchema = z.strictObject({
  type: setting(z.literal('files'), {
    description:
      'The kind of source: files are directories and single files, with owners, modes, times and links',
    example: 'files',
  }),
  paths: setting(pathsSchema(), {
    description:
      'Directories and files. The contents of a single directory are restored straight into the target, those of several each into a directory of its name',
    path: true,
    example: '["/srv/uploads"]',
  }),
  exclude: setting(patterns, {
    description:
      'Patterns of what is left out, written as in .gitignore and matched below each path; a leading ! takes one back',
    example: '["*.tmp", "/cache/"]',
  }),
  include: setting(patterns, {
    description:
      'When given, only files that one of these patterns matches are backed up. exclude is stronger',
    example: '["*.jpg", "*.png"]',
  }),
  ignore_file: setting(z.string({ error: 'must be text' }).default('.holdfastignore'), {
    description:
      'Name of files in the tree with more patterns to leave out, each for its own directory and below. Empty for none',
  }),
  exclude_caches: setting(yesNo.default(false), {
    description: 'Leave out what is in directories marked as caches by a CACHEDIR.TAG',
  }),
  one_file_system: setting(yesNo.default(false), {
    description: 'Stay on the file system each path is on: what is mounted below is left out',
  }),
  xattrs: setting(z.enum(['auto', 'on', 'off']).default('auto'), {
    description:
      'Whether extended attributes (access control lists among them) are kept. auto keeps them where the machine can read them, on fails where it cannot',
  }),
  jobs: setting(jobsSchema(), {
    description: 'How many files of this source are read at once; auto takes the global jobs',
  }),
  tags: tagsSetting(),
  max_age: maxAgeSetting(),
  retention: sourceRetentionSchema.optional(),
});

export type FilesSourceConfig = z.output<typeof filesSourceSchema>;

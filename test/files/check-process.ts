import { checkFiles } from '../../src/sources/files/backup/check.ts';
import { filesOptions } from '../../testing/files-backup.ts';

/** Prints what the check finds of a directory: for tests that run it with fewer rights than their own. */
const [path = '', ...exclude] = process.argv.slice(2);
const findings = await checkFiles(
  filesOptions([path], { exclude, xattrs: 'off' }),
  new AbortController().signal,
);
for (const { level, message } of findings) process.stdout.write(`${level} ${message}\n`);

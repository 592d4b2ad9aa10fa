import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { failure } from '../../../kernel/errors/failure.ts';
import type { Finding } from '../../port.ts';
import { checkDirectory, errnoOf } from '../backup/directory.ts';
import { readTablespaces } from '../backup/facts.ts';
import { ok, wrong, type Asked } from './question.ts';
import { readIdentity } from './identity.ts';

const check = 'data directory';

/** Whether the files are this server's and can be read; without a directory, whether there could be one. */
export async function directory(asked: Asked): Promise<Finding[]> {
  const { dataDirectory } = asked.options;
  if (dataDirectory === undefined) return [ok(check, await streaming(asked))];
  const refused = await unreadable(dataDirectory);
  if (refused !== undefined) return [refused];
  const written = (await readFile(join(dataDirectory, 'PG_VERSION'), 'utf8')).trim();
  if (written !== String(asked.major)) {
    const message = `${dataDirectory} is that of a PostgreSQL ${written}, and the server is a ${asked.major}`;
    return [wrong(check, message, dataDirectoryLine(asked))];
  }
  await checkDirectory(
    dataDirectory,
    await readIdentity(asked.session),
    asked.session.setting.server,
    asked.signal,
  );
  const tablespaces = await checkTablespaces(asked, dataDirectory);
  if (tablespaces.length > 0) return tablespaces;
  return [ok(check, `${dataDirectory} is that of this server and can be read`)];
}

async function streaming({ settings }: Asked): Promise<string> {
  const message = 'backups come over the replication protocol, in one stream';
  const found = settings.text('data_directory');
  const isHere = found !== undefined && (await unreadable(found)) === undefined;
  const line = isHere ? `data_directory: ${found}` : 'data_directory';
  return `${message}; where the data directory can be read it is faster to name it: ${line}`;
}

function dataDirectoryLine({ settings }: Asked): string {
  const known = settings.text('data_directory');
  return known === undefined
    ? 'set data_directory of the source to what a superuser is answered: SHOW data_directory'
    : `set data_directory of the source: data_directory: ${known}`;
}

/** What a backup reads first. Undefined: it can. */
async function unreadable(path: string): Promise<Finding | undefined> {
  const seen = [path, join(path, 'PG_VERSION'), join(path, 'global', 'pg_control'), join(path, 'pg_wal')];
  for (const one of seen) {
    try {
      await (await open(one, 'r')).close();
    } catch (error) {
      const reason = errnoOf(error);
      const { message, hint, code } = failure('cluster_directory_unreadable', { path: one, reason });
      const mend =
        reason === 'ENOENT'
          ? 'set data_directory of the source to what the server answers to: SHOW data_directory'
          : await howToRead(path, hint);
      return { check, level: 'error', message, mend, code };
    }
  }
  return undefined;
}

async function howToRead(path: string, hint: string): Promise<string> {
  try {
    const { uid, gid, mode } = await stat(path);
    if ((mode & 0o050) === 0o050) {
      return `run Holdfast as user ${uid}, as root, or as a member of group ${gid}, which may read ${path}`;
    }
    return `run Holdfast as user ${uid}, to whom it belongs, or as root; or, for members of group ${gid} to read it, with the server stopped: chmod -R g+rX ${path}`;
  } catch {
    return hint; // not even the directory around it may be looked at
  }
}

async function checkTablespaces({ session }: Asked, dataDirectory: string): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { oid, path } of await readTablespaces(session)) {
    try {
      await readdir(join(dataDirectory, 'pg_tblspc', String(oid)));
    } catch (error) {
      const reason = errnoOf(error);
      const { message, hint, code } = failure('cluster_directory_unreadable', { path, reason });
      findings.push({
        check: 'tablespaces',
        level: 'error',
        message,
        mend: await howToRead(path, hint),
        code,
      });
    }
  }
  return findings;
}

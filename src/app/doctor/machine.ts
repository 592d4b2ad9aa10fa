import { mkdir, open, readdir, rm, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { byteSize } from '../../kernel/byte-size.ts';
import { reasonOf } from '../../kernel/errors/failure.ts';
import { plural } from '../../kernel/plural.ts';
import { readRepositoryInfo } from '../../repository/info.ts';
import type { Finding } from '../../sources/port.ts';
import { listTools } from '../../postgres/tools.ts';
import { openPlace, type App } from '../compose.ts';
import { gitInfo } from '../git.ts';
import { unsafeReason } from '../key-file.ts';

const mebibyte = 2 ** 20;
/** Before Holdfast was written: a clock that says so is wrong. */
const earliestMs = Date.UTC(2026, 0, 1);

/** Node, the clock, the PostgreSQL tools, git, and the directories Holdfast keeps its own things in. */
export async function checkMachine(app: App): Promise<readonly Finding[]> {
  return [
    node(),
    clock(app),
    await tools(app),
    await git(app),
    await directory('cache directory', app.directories.cache, 'cache_directory'),
    await directory('temporary directory', app.directories.temp, 'temp_directory'),
    await directory('log directory', dirname(app.directories.logFile), 'log.file'),
    await directory('audit directory', dirname(app.directories.auditFile), 'audit.file'),
  ];
}

/** The files that may hold secrets, and who can read them. */
export async function checkConfiguration(app: App): Promise<readonly Finding[]> {
  const { file, dotenvFiles } = app.settings;
  const findings: Finding[] = [
    {
      check: 'configuration',
      level: 'ok',
      message: file === null ? 'no file, the environment and the defaults are used' : `${file} is valid`,
    },
  ];
  const secretFiles = [...dotenvFiles, app.config.encryption.passphrase_file].filter(
    (path) => path !== undefined,
  );
  for (const path of secretFiles) findings.push(await secretFile(path));
  findings.push(...(await keyFiles(app)));
  return findings;
}

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const check = 'Node.js';
  if (major > 24 || (major === 24 && minor >= 7))
    return { check, level: 'ok', message: `version ${process.versions.node}` };
  return {
    check,
    level: 'error',
    message: `version ${process.versions.node} is older than 24.7`,
    mend: 'install Node.js 24.7 or newer',
  };
}

function clock(app: App): Finding {
  const now = app.machine.clock.now();
  const check = 'clock';
  if (now >= earliestMs) return { check, level: 'ok', message: new Date(now).toISOString() };
  const mend = 'set it: timedatectl set-ntp true';
  return { check, level: 'error', message: `it says ${new Date(now).toISOString()}, which cannot be`, mend };
}

async function tools(app: App): Promise<Finding> {
  const check = 'PostgreSQL tools';
  const found = await listTools({ env: app.env, signal: app.signal }, 'pg_dump');
  if (found.length > 0) {
    return {
      check,
      level: 'ok',
      message: found.map(({ version, directory: at }) => `${version} in ${at}`).join(', '),
    };
  }
  const mend = 'install them: apt install postgresql-client (Debian, Ubuntu), brew install libpq (macOS)';
  return { check, level: 'warning', message: 'no pg_dump was found', mend };
}

async function git(app: App): Promise<Finding> {
  const info = await gitInfo(app.machine.cwd, app.signal);
  const message =
    info === null
      ? 'not in a git work tree; backups carry no commit'
      : `backups carry commit ${info.commit.slice(0, 12)} of ${info.branch ?? 'no branch'}${info.dirty ? ', with changes' : ''}`;
  return { check: 'git', level: 'ok', message };
}

async function directory(check: string, path: string, setting: string): Promise<Finding> {
  const probe = join(path, `.holdfast-probe-${process.pid}`);
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await (await open(probe, 'wx', 0o600)).close();
    await rm(probe);
    const { bavail, bsize } = await statfs(path);
    const free = bavail * bsize;
    if (free >= 100 * mebibyte) return { check, level: 'ok', message: path };
    return {
      check,
      level: 'warning',
      message: `${path} has ${byteSize(free)} free`,
      mend: `free some space, or name another place with ${setting}`,
    };
  } catch (error) {
    const mend = `make it writable for this user, or name another place with ${setting}`;
    return { check, level: 'error', message: `cannot write to ${path}: ${reasonOf(error)}`, mend };
  }
}

async function secretFile(path: string): Promise<Finding> {
  const check = 'secret file';
  try {
    const { mode } = await stat(path);
    if ((mode & 0o044) === 0)
      return { check, level: 'ok', message: `${path} is readable by its owner alone` };
    return {
      check,
      level: 'warning',
      message: `${path} may hold secrets and others can read it`,
      mend: `chmod 600 ${path}`,
    };
  } catch (error) {
    return {
      check,
      level: 'error',
      message: `cannot look at ${path}: ${reasonOf(error)}`,
      mend: `check that ${path} is there and readable`,
    };
  }
}

/** Those of this repository one by one, as all that others could read; the others in one line. */
async function keyFiles(app: App): Promise<Finding[]> {
  const { keys } = app.directories;
  const names = (await readdir(keys).catch(() => [])).filter((name) => name.endsWith('.key')).toSorted();
  const id = names.length === 0 ? undefined : await repositoryId(app);
  const findings: Finding[] = [];
  let others = 0;
  for (const name of names) {
    const finding = await keyFile(join(keys, name), app.machine.uid);
    if (finding.level === 'ok' && (id === undefined || !name.startsWith(id))) others += 1;
    else findings.push(finding);
  }
  if (others === 0) return findings;
  const whose = id === undefined ? '' : others === 1 ? ' of another repository' : ' of other repositories';
  const message = `${plural(others, 'key')}${whose} in ${keys}`;
  return [...findings, { check: 'key file', level: 'ok', message }];
}

/** Undefined when there is no repository to be seen; why, is told where that is looked at. */
async function repositoryId(app: App): Promise<string | undefined> {
  try {
    const storage = await openPlace(app, { create: false });
    try {
      return (await readRepositoryInfo(storage))?.id;
    } finally {
      await storage.close();
    }
  } catch {
    return undefined;
  }
}

async function keyFile(path: string, uid: number | undefined): Promise<Finding> {
  const check = 'key file';
  const wrong = await unsafeReason(path, uid);
  if (wrong === undefined || wrong === 'missing') {
    return {
      check,
      level: 'ok',
      message: `${path} is readable by its owner alone; keep a copy of it elsewhere`,
    };
  }
  return { check, level: 'error', message: `${path}: ${wrong.reason}`, mend: wrong.mend, code: 'HF-1119' };
}

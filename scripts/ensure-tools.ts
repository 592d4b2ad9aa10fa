import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, globSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

// Runs before the tests. What they need from the system is installed when that is possible without asking
// (root on Debian or Ubuntu with apt-get); otherwise a line per missing tool says which tests will be skipped.
// With CI set, skipping is failing, so missing tools fail here already.

interface Tool {
  readonly name: string;
  readonly found: () => boolean;
  /** Debian packages that bring it. */
  readonly packages: readonly string[];
  readonly without: string;
}

const debianServers = (): string[] => globSync('/usr/lib/postgresql/*/bin');

const tools: readonly Tool[] = [
  {
    name: 'PostgreSQL client tools (pg_dump, pg_restore, psql)',
    found: () => ['pg_dump', 'pg_restore', 'psql'].every((tool) => onPath(tool, debianServers())),
    packages: ['postgresql-client'],
    without: 'logical backup and restore of PostgreSQL',
  },
  {
    name: 'PostgreSQL server with contrib (initdb, postgres, pg_amcheck)',
    found: () => ['initdb', 'postgres', 'pg_amcheck'].every((tool) => onPath(tool, debianServers())),
    packages: ['postgresql', 'postgresql-contrib'],
    without: "tests on the system's own PostgreSQL (those on servers from npm still run)",
  },
  {
    name: 'sqlite3',
    found: () => onPath('sqlite3'),
    packages: ['sqlite3'],
    without: 'tests that compare SQLite databases with sqlite3',
  },
  {
    name: 'rsync, getfattr, getfacl and setcap',
    found: () =>
      ['rsync', 'getfattr', 'getfacl'].every((tool) => onPath(tool)) && onPath('setcap', ['/usr/sbin']),
    packages: ['rsync', 'attr', 'acl', 'libcap2-bin'],
    without: 'tests that compare restored files with other tools',
  },
  {
    name: 'jq',
    found: () => onPath('jq'),
    packages: ['jq'],
    without: 'the test of the documented query for monitors',
  },
  {
    name: 'strace',
    found: () => onPath('strace'),
    packages: ['strace'],
    without: 'the test of a disk that fails when a SQLite database has just been overwritten',
  },
  {
    name: 'bsdtar',
    found: () => onPath('bsdtar'),
    packages: ['libarchive-tools'],
    without: 'tests that open exports with bsdtar',
  },
  {
    name: 'zsh, fish and bash-completion',
    found: () => onPath('zsh') && onPath('fish') && existsSync('/usr/share/bash-completion/bash_completion'),
    packages: ['zsh', 'fish', 'bash-completion'],
    without: 'tests of completion in those shells',
  },
  {
    name: 'Ceph with its S3 gateway (ceph-mon, ceph-osd, radosgw)',
    found: () =>
      ['ceph', 'ceph-mon', 'ceph-osd', 'monmaptool', 'radosgw', 'radosgw-admin'].every((tool) =>
        onPath(tool),
      ),
    packages: ['ceph-mon', 'ceph-osd', 'radosgw', 'ceph-common'],
    without: 'tests on a real S3 service',
  },
  {
    name: 'OpenSSH with its SFTP server (ssh, sshd, sftp-server)',
    found: () =>
      ['ssh', 'ssh-keygen'].every((tool) => onPath(tool)) &&
      onPath('sshd', ['/usr/sbin']) &&
      onPath('sftp-server', ['/usr/lib/openssh', '/usr/libexec/openssh']),
    packages: ['openssh-client', 'openssh-server', 'openssh-sftp-server'],
    without: 'tests on a real SFTP server',
  },
  { name: 'git', found: () => onPath('git'), packages: ['git'], without: 'the tests of the checkout itself' },
];

function onPath(tool: string, more: readonly string[] = []): boolean {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), ...more];
  return directories.some((directory) => isExecutable(join(directory, tool)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const missing = (): Tool[] => tools.filter((tool) => !tool.found());

function canInstall(): boolean {
  return process.getuid?.() === 0 && existsSync('/etc/debian_version') && onPath('apt-get');
}

function install(packages: readonly string[]): void {
  process.stderr.write(`installing with apt-get for the tests: ${packages.join(' ')}\n`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = ['-y', '-q', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300'];
  const attempts: readonly (readonly string[])[] = [
    ['update', '-q'],
    ['install', ...options, ...packages],
  ];
  using _quiet = startNoServices();
  for (const args of attempts) {
    const { status, stdout, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8' });
    if (status !== 0)
      process.stderr.write(`apt-get ${args[0]} failed:\n${`${stdout}${stderr}`.slice(-2000)}\n`);
  }
}

/** Debian's PostgreSQL package would start a server of its own, which no test wants and nothing would stop. */
function startNoServices(): Disposable {
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) return { [Symbol.dispose]: () => {} };
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  return { [Symbol.dispose]: () => rmSync(policy, { force: true }) };
}

let absent = missing();
if (absent.length > 0 && canInstall()) {
  install(absent.flatMap((tool) => tool.packages));
  absent = missing();
}
for (const tool of absent) {
  const hint = existsSync('/etc/debian_version') ? ` (apt-get install ${tool.packages.join(' ')})` : '';
  process.stderr.write(`not found: ${tool.name}${hint}; skipped without it: ${tool.without}\n`);
}
if (absent.length > 0 && (process.env['CI'] ?? '') !== '') {
  process.stderr.write('CI is set, and in CI nothing is skipped\n');
  process.exitCode = 1;
}

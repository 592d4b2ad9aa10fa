// Runs on whatever Node the machine has, before every npm script that needs Node 24: hence plain JavaScript.
// The development dependency `node` brings Node 24 by an install script; where npm did not run it, it is run here.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

function newEnough(command) {
  const { stdout } = spawnSync(command, ['--version'], { encoding: 'utf8' });
  const [major = 0, minor = 0] = (stdout ?? '').replace(/^v/, '').split('.').map(Number);
  return major > 24 || (major === 24 && minor >= 7);
}

const local = join(root, 'node_modules', 'node', 'bin', 'node');
if (!newEnough(local) && !newEnough(process.execPath)) {
  process.stderr.write(
    'Node 24 is not in node_modules yet: running the install script of the package "node"\n',
  );
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  spawnSync(npm, ['rebuild', 'node', '--ignore-scripts=false'], { cwd: root, stdio: 'inherit' });
  if (!newEnough(local)) {
    process.stderr.write('Node 24.7 or newer is needed: run npm ci, or install it from https://nodejs.org\n');
    process.exit(1);
  }
}

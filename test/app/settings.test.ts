import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { describeOrigin } from '../../src/contract/config-layer.ts';
import { loadSettings } from '../../src/app/settings.ts';
import { rejection, testMachine } from './machine.ts';

describe('loading the settings', () => {
  it('needs no file', async () => {
    await using test = await testMachine({ DATABASE_URL: 'postgres://localhost/shop' });
    const settings = await loadSettings({}, test.machine);
    assert.equal(settings.file, null);
    assert.equal(settings.repositoryNamed, false);
    assert.deepEqual(Object.keys(settings.config.sources), ['shop']);
  });

  it('finds holdfast.yaml in the current directory, and lets the real environment win over .env', async () => {
    await using test = await testMachine({ JOBS: '5' });
    await writeFile(test.at('holdfast.yaml'), 'jobs: ${JOBS}\nlog: { level: "${LEVEL}" }\n');
    await writeFile(test.at('.env'), 'JOBS=3\nLEVEL="warn"\nHOLDFAST_LOG_KEEP=7\n');
    const { config, origins, dotenvFiles } = await loadSettings({}, test.machine);
    assert.deepEqual([config.jobs, config.log.level, config.log.keep], [5, 'warn', 7]);
    assert.equal(describeOrigin(origins.of(['log', 'keep'])), 'HOLDFAST_LOG_KEEP in .env');
    assert.deepEqual(dotenvFiles, [test.at('.env')]);
  });

  it('takes the file of --config over that of HOLDFAST_CONFIG, and resolves paths from where it is', async () => {
    await using test = await testMachine({ HOLDFAST_CONFIG: 'other.yaml' });
    await mkdir(test.at('etc'));
    await writeFile(test.at('etc', 'h.yaml'), 'repository: ./r\n');
    await writeFile(test.at('other.yaml'), 'jobs: 7\n');
    const flagged = await loadSettings({ configFile: 'etc/h.yaml' }, test.machine);
    assert.equal(flagged.config.repository, test.at('etc', 'r'));
    assert.equal(flagged.repositoryNamed, true);
    assert.equal((await loadSettings({}, test.machine)).config.jobs, 7);
  });

  it('reads HOLDFAST_CONFIG from .env', async () => {
    await using test = await testMachine();
    await writeFile(test.at('.env'), 'HOLDFAST_CONFIG=my.yaml\nHOLDFAST_LOG_KEEP=9\n');
    await writeFile(test.at('my.yaml'), 'jobs: 7\n');
    const { config } = await loadSettings({}, test.machine);
    assert.deepEqual([config.jobs, config.log.keep], [7, 9]);
  });

  it('does not read the .env of a current directory that the named configuration is not of', async () => {
    await using test = await testMachine();
    await mkdir(test.at('etc'));
    await writeFile(test.at('etc', 'h.yaml'), 'jobs: 2\n');
    await writeFile(test.at('.env'), 'HOLDFAST_PASSPHRASE_COMMAND=touch owned\n');
    const { config } = await loadSettings({ configFile: 'etc/h.yaml' }, test.machine);
    assert.equal(config.encryption.passphrase_command, undefined);
  });

  it('refuses a named file that is not there, one that cannot be read, and two that could be meant', async () => {
    await using test = await testMachine();
    assert.equal(
      (await rejection(loadSettings({ configFile: 'no.yaml' }, test.machine))).errorName,
      'config_missing',
    );
    assert.equal(
      (await rejection(loadSettings({ configFile: '.' }, test.machine))).errorName,
      'config_unreadable',
    );
    await writeFile(test.at('holdfast.yaml'), '');
    await writeFile(test.at('holdfast.yml'), '');
    assert.equal((await rejection(loadSettings({}, test.machine))).errorName, 'config_two_files');
  });

  it('names the file as it was reached, for messages', async () => {
    await using test = await testMachine();
    await writeFile(test.at('holdfast.yaml'), 'jobs: [');
    assert.match((await rejection(loadSettings({}, test.machine))).message, /^holdfast\.yaml:1:8: not YAML/);
  });
});

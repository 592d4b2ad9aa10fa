import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CodeSettings } from '../../src/contract/config-code.ts';
import { describeOrigin } from '../../src/contract/config-layer.ts';
import { parseConfig, type ParsedConfig } from '../../src/contract/config-parse.ts';
import { isFailure } from '../../src/kernel/errors/failure.ts';

function parse(
  code: CodeSettings,
  text: string | null = null,
  env: Record<string, string> = {},
): ParsedConfig {
  return parseConfig({
    file: text === null ? null : { name: 'holdfast.yaml', text, directory: '/etc/holdfast' },
    variables: new Map(Object.entries(env).map(([name, value]) => [name, { value, file: undefined }])),
    flags: [{ path: ['repository'], value: './flag', flag: '--repo' }],
    code,
    cwd: '/work',
    home: '/home/me',
  });
}

test('settings given in code count before flags, environment and file, and say where they are from', () => {
  const file = 'repository: ./file\njobs: 2\ncompression: { codec: gzip, level: 9 }\n';
  const { config, origins } = parse({ repository: './code', compression: { level: 3 } }, file, {
    HOLDFAST_JOBS: '3',
  });
  assert.equal(config.repository, '/work/code', 'relative to the current directory, not to the file');
  assert.deepEqual(config.compression, { codec: 'gzip', level: 3 });
  assert.equal(config.jobs, 3);
  assert.equal(describeOrigin(origins.of(['compression', 'level'])), 'options');
  assert.notEqual(describeOrigin(origins.of(['compression', 'codec'])), 'options');
});

test('a source given in code stands alone, beside those of the file', () => {
  const file =
    'sources:\n  shop: { type: postgres, url: postgres://a/b, jobs: 3 }\n  blog: { type: files, paths: [x] }\n';
  const { config } = parse({ sources: { shop: { type: 'files', paths: ['./up', '/abs'] } } }, file);
  assert.deepEqual(Object.keys(config.sources).toSorted(), ['blog', 'shop']);
  const { shop } = config.sources;
  assert.equal(shop?.type, 'files');
  assert.deepEqual(shop?.type === 'files' ? shop.paths : [], ['/work/up', '/abs']);
});

test('a passphrase given in code displaces the file or command that would give one', () => {
  const file = 'encryption: { passphrase_command: pass show it }\n';
  const { config } = parse({ encryption: { passphrase: 'in code' } }, file);
  assert.equal(config.encryption.passphrase?.reveal(), 'in code');
  assert.equal(config.encryption.passphrase_command, undefined);
});

test('values given in code are taken as they are: no variables, no text read as a number', () => {
  const { config } = parse({ encryption: { passphrase: '${HOME}' } });
  assert.equal(config.encryption.passphrase?.reveal(), '${HOME}');
  assert.throws(
    () => parse({ jobs: '4' }),
    (error) => isFailure(error, 'config_invalid') && error.message.startsWith('options: jobs: '),
  );
});

test('what is undefined was not given; what is unknown is refused with what it may have been', () => {
  assert.equal(parse({ jobs: undefined }, 'jobs: 2\n').config.jobs, 2);
  assert.throws(
    () => parse({ compression: { codek: 'none' } }),
    (error) => isFailure(error, 'config_unknown_key') && error.hint.includes('compression.codec'),
  );
  assert.throws(
    () => parse({ sources: { a: new Map() } }),
    (error) => isFailure(error, 'config_invalid'),
  );
});

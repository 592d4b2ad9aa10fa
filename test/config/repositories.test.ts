import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from './parse-helper.ts';

const two = `
s3: { region: eu-central-1, endpoint: https://one.example.com }
repositories:
  local: { url: /srv/backups }
  offsite: { url: s3://bucket/prefix, s3: { endpoint: https://two.example.com } }
`;

test('the first of the repositories is the primary, unless repository names another', () => {
  assert.equal(parse(two).config.repository, '/srv/backups');
  assert.equal(parse(`repository: offsite\n${two}`).config.repository, 's3://bucket/prefix');
  assert.equal(parse(two, { HOLDFAST_REPOSITORY: 'offsite' }).config.repository, 's3://bucket/prefix');
  assert.equal(parse(`repository: /elsewhere\n${two}`).config.repository, '/elsewhere');
});

test('what a repository has of its own lies over the general settings', () => {
  const { repositories, s3 } = parse(two).config;
  assert.deepEqual(
    [repositories['offsite']?.s3?.endpoint, repositories['offsite']?.s3?.region, s3.endpoint],
    ['https://two.example.com', 'eu-central-1', 'https://one.example.com'],
  );
  assert.equal(repositories['local']?.s3, undefined);
});

test('variables make and change repositories', () => {
  const { config } = parse(two, {
    HOLDFAST_REPOSITORIES_OFFSITE_S3_REGION: 'eu-west-1',
    HOLDFAST_REPOSITORIES_OFFSITE_WITH_BACKUP: 'no',
    HOLDFAST_REPOSITORIES_NAS_URL: 'sftp://nas/backups',
    HOLDFAST_REPOSITORIES_NAS_RETENTION_KEEP_DAILY: '30',
  });
  const { offsite, nas } = config.repositories;
  assert.deepEqual([offsite?.s3?.region, offsite?.with_backup], ['eu-west-1', false]);
  assert.deepEqual([nas?.url, nas?.retention?.keep_daily], ['sftp://nas/backups', 30]);
});

test('misspelt and missing settings of a repository are refused, with the nearest', () => {
  const refused = (text: string, env: Record<string, string> = {}): string => {
    try {
      parse(text, env);
      return '';
    } catch (error) {
      return `${String(error)} ${(error as { hint: string }).hint}`;
    }
  };
  assert.match(refused('repositories: { a: { ulr: /x } }'), /ulr.*did you mean repositories\.a\.url/s);
  assert.match(refused('repositories: { a: { with_backup: true } }'), /repositories\.a\.url/);
  assert.match(
    refused(two, { HOLDFAST_REPOSITORIES_OFFSITE_S3_ENDPOIN: 'x' }),
    /HOLDFAST_REPOSITORIES_OFFSITE_S3_ENDPOINT/,
  );
});

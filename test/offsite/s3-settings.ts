import { cephUsers } from '../../testing/ceph-server.ts';

export interface S3Place {
  readonly endpoint: string;
  readonly bucket: string;
}

/** The lines of a configuration that put a repository into a bucket of the tests' Ceph. `more`: further settings of `s3`. */
export function repositoryInBucket(
  { endpoint, bucket }: S3Place,
  more: Readonly<Record<string, string | number | boolean>> = {},
): string {
  const { accessKeyId, secretAccessKey } = cephUsers.owner;
  const settings = { endpoint, access_key_id: accessKeyId, secret_access_key: secretAccessKey, ...more };
  const lines = Object.entries(settings).map(([name, value]) => `  ${name}: ${value}\n`);
  return `repository: s3://${bucket}/prod\ns3:\n${lines.join('')}`;
}

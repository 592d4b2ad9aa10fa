import type { S3Config } from '../contract/config-s3.ts';

export interface PolicyPlace {
  readonly bucket: string;
  /** '' or `folder/…/`. */
  readonly prefix: string;
  readonly isAws: boolean;
  readonly settings: Pick<S3Config, 'object_lock' | 'encryption' | 'kms_key_id'>;
}

/** What an agent stores; `.holdfast-probe` is how other services than AWS are tried for conditional writes. */
const written = ['packs/*', 'snapshots/*', 'wal/*', 'gc/needs/*'];
const read = ['holdfast.json', 'gc/marks/*'];
/** Whoever has stored an object owns it in some services, and would be allowed all of this without a word of any policy. */
const denied = [
  's3:DeleteObject',
  's3:DeleteObjectVersion',
  's3:BypassGovernanceRetention',
  's3:PutObjectAcl',
  's3:PutObjectVersionAcl',
  's3:GetObjectVersion',
];
const dayMs = 86_400_000;

/**
 * The policy of S3 that allows an agent what it does, and nothing else: to add objects of its kinds, to list, and to read
 * what names the repository and what is marked for removal. Where AWS is asked, nothing that is there can be overwritten.
 */
export function agentPolicy({ bucket, prefix, isAws, settings }: PolicyPlace): Record<string, unknown> {
  const arn = (name: string): string => `arn:aws:s3:::${bucket}/${prefix}${name}`;
  const targets = [...written, ...(isAws ? [] : ['.holdfast-probe'])].map(arn);
  const statements: Record<string, unknown>[] = [
    {
      Sid: 'AddNewObjects',
      Effect: 'Allow',
      Action: 's3:PutObject',
      Resource: targets,
      ...(isAws ? { Condition: { Null: { 's3:if-none-match': 'false' } } } : {}),
    },
    {
      Sid: 'SeeNamesAndSizes',
      Effect: 'Allow',
      // Where a condition is not honoured, who was first is seen by the versions of a name.
      Action: isAws ? 's3:ListBucket' : ['s3:ListBucket', 's3:ListBucketVersions'],
      Resource: `arn:aws:s3:::${bucket}`,
      ...(prefix === '' ? {} : { Condition: { StringLike: { 's3:prefix': `${prefix}*` } } }),
    },
    { Sid: 'KnowTheRepository', Effect: 'Allow', Action: 's3:GetObject', Resource: read.map(arn) },
    { Sid: 'ReadNothingElse', Effect: 'Deny', Action: 's3:GetObject', NotResource: read.map(arn) },
    { Sid: 'RemoveNothing', Effect: 'Deny', Action: denied, Resource: `arn:aws:s3:::${bucket}/*` },
  ];
  if (settings.object_lock !== undefined) {
    const days = Math.ceil(settings.object_lock / dayMs) + 1;
    statements.push({
      Sid: 'LockWhatIsAdded',
      Effect: 'Allow',
      Action: 's3:PutObjectRetention',
      Resource: targets,
      ...(isAws
        ? {
            Condition: { NumericLessThanEquals: { 's3:object-lock-remaining-retention-days': String(days) } },
          }
        : {}),
    });
  }
  if (settings.encryption === 'sse-kms') {
    const Resource = settings.kms_key_id ?? '*';
    statements.push({ Sid: 'UseTheKey', Effect: 'Allow', Action: 'kms:GenerateDataKey', Resource });
  }
  return { Version: '2012-10-17', Statement: statements };
}

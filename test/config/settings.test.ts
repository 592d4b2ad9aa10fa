import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { configSchema } from '../../src/contract/config.ts';
import { configJsonSchema } from '../../src/contract/config-json-schema.ts';
import { configReference } from '../../src/contract/config-reference.ts';
import { allSettings, anySourceName, type Setting } from '../../src/contract/config-settings.ts';
import { configTemplate } from '../../src/contract/config-template.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { parse } from './parse-helper.ts';

/** For settings that take what no others do. */
const samples: Readonly<Record<string, readonly [string, unknown]>> = {
  's3.endpoint': ['s3.example.com', 'https://s3.example.com'],
  's3.path_style': ['true', true],
  's3.storage_class': ['STANDARD_IA', 'STANDARD_IA'],
  'azure.endpoint': ['https://backups.example.com', 'https://backups.example.com'],
  'azure.block_size': ['7 MiB', 7 * 2 ** 20],
  's3.part_size': ['7 MiB', 7 * 2 ** 20],
  's3.conditional_writes': ['false', false],
  's3.delete_versions': ['true', true],
  's3.versions_expire': ['7d', 7 * 86_400_000],
  's3.object_lock': ['7d', 7 * 86_400_000],
  'sftp.options': ['ProxyJump=bastion', ['ProxyJump=bastion']],
  'gs.endpoint': ['https://s.example.com', 'https://s.example.com'],
  'gs.chunk_size': ['8 MiB', 8 * 2 ** 20],
  'gdrive.endpoint': ['https://d.example.com', 'https://d.example.com'],
  'gdrive.chunk_size': ['8 MiB', 8 * 2 ** 20],
  'prune.grace': ['7d', 7 * 86_400_000],
  'prune.max_unused': ['7%', 0.07],
};

/** A value that differs from the default, as text for a variable, and what the configuration then holds. */
function sample(setting: Setting): readonly [string, unknown] {
  const key = setting.path.at(-1) ?? '';
  if (key === 'type') return [setting.sourceType ?? '', setting.sourceType];
  if (key === 'url')
    return setting.path[0] === 'sources'
      ? ['postgres://u:pw@h/d', 'postgres://u:pw@h/d']
      : ['s3://b/p', 's3://b/p'];
  if (key === 'level' && setting.path[0] === 'compression') return ['7', 7];
  const special = samples[setting.path.slice(-2).join('.')];
  if (special !== undefined) return special;
  if (setting.choices !== undefined) {
    const other = setting.choices.find((choice) => choice !== String(setting.defaultValue)) ?? '';
    return [other, setting.forms.boolean ? other === 'true' : other];
  }
  if (key === 'max_age') return ['26h', 26 * 3_600_000];
  if (key.endsWith('timeout') || key === 'wal_interval') return ['7s', 7000];
  if (['max_size', 'wal_waiting_limit', 'wal_prefetch'].includes(key)) return ['7 MiB', 7 * 2 ** 20];
  if (setting.forms.list) return setting.meta.path ? ['/a, /b', ['/a', '/b']] : ['a, b', ['a', 'b']];
  if (setting.forms.map) return ['a=1, b=x=y', { a: '1', b: 'x=y' }];
  if (setting.forms.number) return ['7', 7];
  if (['keep_within', 'keep_wal'].includes(key)) return ['6mo', '6mo'];
  if (key === 'timezone') return ['Asia/Kathmandu', 'Asia/Kathmandu'];
  if (key === 'slot') return ['some_slot', 'some_slot'];
  return ['/some/text', '/some/text'];
}

/** The least a source of a type, or a repository, needs. */
function minimum({ sourceType, path: [section] }: Setting): Record<string, string> {
  if (section === 'repositories') return { HOLDFAST_REPOSITORIES_SHOP_URL: '/r' };
  if (sourceType === undefined || sourceType === 'postgres') return {};
  if (sourceType === 'postgres-cluster') return { HOLDFAST_SOURCES_SHOP_TYPE: sourceType };
  return { HOLDFAST_SOURCES_SHOP_TYPE: sourceType, HOLDFAST_SOURCES_SHOP_PATHS: '/x' };
}

const exampleNames: Readonly<Record<string, string>> = {
  postgres: 'shop',
  'postgres-cluster': 'main',
  sqlite: 'agents',
  files: 'uploads',
};

const exampleName = ([section]: readonly string[], sourceType: string): string =>
  section === 'repositories' ? 'offsite' : (exampleNames[sourceType] ?? '');

describe('every setting', () => {
  it('has a variable of its own', () => {
    const owners = Map.groupBy(allSettings, ({ env }) => env);
    // Of sources, one for each type.
    for (const [env, settings] of owners)
      assert.equal(new Set(settings.map(({ sourceType }) => sourceType)).size, settings.length, env);
    for (const { env } of allSettings) assert.match(env, /^HOLDFAST_[A-Z0-9_<>]+$/);
  });

  for (const setting of allSettings) {
    it(`${setting.path.join('.')} ${setting.sourceType ?? ''} can be given by ${setting.env}`, () => {
      const [text, expected] = sample(setting);
      const { config } = parse(null, {
        ...minimum(setting),
        [setting.env.replace('<NAME>', 'SHOP')]: text,
      });
      let value: unknown = config;
      for (const key of setting.path) {
        value = (value as Record<string, unknown>)[key === anySourceName ? 'shop' : key];
      }
      assert.deepEqual(value instanceof Secret ? value.reveal() : value, expected);
    });
  }
});

describe('the template', () => {
  it('means the defaults as it comes', () => {
    assert.deepEqual(parse(configTemplate()).config, parse('jobs: auto').config);
  });

  it('has every setting once, in its place', () => {
    const document = parseDocument(uncommented());
    assert.deepEqual(document.errors, []);
    for (const { path, sourceType = '' } of allSettings) {
      const place = path.map((key) => (key === anySourceName ? exampleName(path, sourceType) : key));
      // A section within a source is one line.
      const shown = path[1] === anySourceName ? place.slice(0, 3) : place;
      assert.notEqual(document.getIn(shown), undefined, shown.join('.'));
    }
  });

  it('shows the true default of every setting that has one', () => {
    const values = parseDocument(uncommented()).toJS() as Record<string, unknown>;
    for (const { path, defaultValue, sourceType = '' } of allSettings) {
      // Where the default is empty, the template shows an example.
      if (defaultValue === undefined || isEmpty(defaultValue)) continue;
      // A section below a name is one line.
      if (path[1] === anySourceName && path.length > 3) continue;
      let value: unknown = values;
      for (const key of path)
        value = (value as Record<string, unknown>)[
          key === anySourceName ? exampleName(path, sourceType) : key
        ];
      assert.deepEqual(value, defaultValue, path.join('.'));
    }
  });

  it('is valid for each setting uncommented alone', () => {
    const lines = configTemplate().split('\n');
    const heads = lines.flatMap((line, at) => (/^ {2}#[a-z]+:$/.test(line) ? [at] : []));
    lines.forEach((line, index) => {
      if (!/^\s*#[a-z0-9_]+:/.test(line) || heads.includes(index)) return;
      const head = line.startsWith('    #') ? heads.findLast((at) => at < index) : undefined;
      const edited = lines.map((other, at) => {
        const least = lines[head ?? 0] === '  #offsite:' ? /^ *#url:/ : /^ *#(type|paths):/;
        const needed = head !== undefined && at > head && at < head + 20 && least.test(other);
        return at === index || at === head || needed ? other.replace('#', '') : other;
      });
      parse(edited.join('\n'), {
        HOLDFAST_PASSPHRASE: 'x',
        DATABASE_URL: 'postgres://h/d',
        SHOP_PASSWORD: 'y',
        GOOGLE_CLIENT_SECRET: 'z',
        GOOGLE_REFRESH_TOKEN: 'z',
      });
    });
  });

  function uncommented(): string {
    return configTemplate().replaceAll(/^(\s*)#([a-z0-9_]+:)/gm, '$1$2');
  }
});

function isEmpty(value: unknown): boolean {
  return value === '' || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);
}

describe('the JSON Schema', () => {
  const fromJson = z.fromJSONSchema(configJsonSchema());
  const value = fc.oneof(
    fc.constantFrom(
      'auto',
      'zstd',
      'info',
      '10MB',
      '5s',
      'x',
      '',
      true,
      false,
      null,
      1,
      0,
      1.5,
      70_000,
      'postgres://h/d',
    ),
    fc.array(fc.constantFrom('a', ''), { maxLength: 2 }),
    fc.constant({}),
  );
  const keys = [...new Set(allSettings.map(({ path }) => path.at(-1) ?? '')), 'unknown'];
  const section = fc.dictionary(fc.constantFrom(...keys), value, { maxKeys: 3 });
  const source = fc
    .record({ type: fc.constantFrom('postgres', 'sqlite', 'files', 'other') })
    .chain((typed) => section.map((rest) => ({ ...rest, ...typed })));
  const tree = fc.record(
    {
      repository: value,
      jobs: value,
      log: section,
      audit: section,
      compression: section,
      encryption: section,
      sources: fc.dictionary(fc.constantFrom('shop', 'a b'), source, { maxKeys: 1 }),
    },
    { requiredKeys: [] },
  );

  it('accepts all that the program accepts', () => {
    fc.assert(
      fc.property(tree, (candidate) => {
        if (!configSchema.safeParse(candidate).success) return;
        assert.equal(fromJson.safeParse(candidate).success, true);
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses unknown keys and wrong types', () => {
    for (const wrong of [
      { unknown: 1 },
      { jobs: 'many' },
      { log: { level: 'loud' } },
      { sources: { a: { type: 'x' } } },
    ]) {
      assert.equal(fromJson.safeParse(wrong).success, false, JSON.stringify(wrong));
    }
  });

  it('describes every setting', () => {
    const text = JSON.stringify(configJsonSchema());
    for (const { meta } of allSettings)
      assert.ok(text.includes(JSON.stringify(meta.description)), meta.description);
  });
});

describe('docs/configuration.md', () => {
  it('is what the schema says (npm run generate)', async () => {
    const page = await readFile(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
    assert.equal(page, configReference());
  });
});

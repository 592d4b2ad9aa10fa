import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { parseConfig } from '../../src/contract/config-parse.ts';
import { allSettings, anySourceName, type Setting } from '../../src/contract/config-settings.ts';
import { configTemplate } from '../../src/contract/config-template.ts';
import { withoutSecrets } from '../../src/contract/config-without-secrets.ts';
import { readYaml } from '../../src/contract/config-yaml.ts';
import { environmentOf } from '../../src/app/keep-config.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { keepConfig, keptConfigNames, readKeptConfig } from '../../src/repository/kept-config.ts';
import { MemoryStorage } from '../../src/storage/memory/memory-storage.ts';
import { makeRepository } from '../../testing/repository.ts';

const secretSettings = allSettings.filter(({ meta }) => meta.secret !== undefined);
const name = 'my-shop';

/** Anything people use for passwords, long enough not to be a part of something else; nothing that YAML cannot hold. */
const anySecret = fc
  .array(fc.constantFrom(...'abcXYZ019 !"#$%&\'()*+,-./:;<=>?@[]^_{|}~äß🔑'), { minLength: 4, maxLength: 24 })
  .map((parts) => `q${parts.join('')}Zx7`);

const styles = {
  double: (text: string): string => JSON.stringify(text),
  escaped: (text: string): string =>
    `"${[...text].map((char) => `\\U${(char.codePointAt(0) ?? 0).toString(16).padStart(8, '0')}`).join('')}"`,
  single: (text: string): string => `'${text.replaceAll("'", "''")}'`,
  literal: (text: string): string => `|-\n          ${text}`,
  folded: (text: string): string => `>-\n          ${text}`,
  anchored: (text: string): string => `&it !!str ${JSON.stringify(text)}`,
} as const;

/** A file in which nothing but that setting is of interest. */
function fileWith(setting: Setting, written: string): string {
  const keys = setting.path.map((key) => (key === anySourceName ? name : key));
  const lines = keys.map((key, depth) => `${'  '.repeat(depth)}${key}:`);
  const [section] = keys;
  const type =
    section === 'sources' && keys.at(-1) !== 'type' ? [`    type: ${setting.sourceType ?? 'postgres'}`] : [];
  const url = section === 'repositories' && keys.at(-1) !== 'url' ? ['    url: ./x'] : [];
  const [last = ''] = lines.slice(-1);
  const above = lines.slice(0, -1);
  return [...above.slice(0, 2), ...type, ...url, ...above.slice(2), `${last} ${written}`, ''].join('\n');
}

function readWith(text: string, variables: ReadonlyMap<string, string>): string {
  const { values } = readYaml({ name: 'x', text }, (variable) => variables.get(variable));
  return JSON.stringify(values, (_, value: unknown) =>
    typeof value === 'object' && value !== null && 'text' in value ? value.text : value,
  );
}

/** Variables a text refers to. */
function references(text: string): string[] {
  const named: string[] = [];
  readYaml({ name: 'x', text }, (variable) => {
    named.push(variable);
    return '';
  });
  return named;
}

describe('the configuration without its secrets', () => {
  const seed = randomInt(0x7fff_ffff);

  it('holds no secret of any setting, however it is written, and says the same with the variables set', (test) => {
    test.diagnostic(`seed ${seed}`);
    const style = fc.constantFrom(...(Object.keys(styles) as (keyof typeof styles)[]));
    const check = (setting: Setting, secret: string, how: keyof typeof styles): void => {
      const isUrl = setting.meta.secret === 'url';
      const encoded = isUrl ? encodeURIComponent(secret) : secret;
      // A dollar sign before a brace is doubled in the file.
      const plain = isUrl ? `postgres://app:${encoded}@db.example.com/shop` : secret;
      const text = fileWith(setting, styles[how](plain.replaceAll('$', '$$$$')));
      const kept = withoutSecrets(`${text}# was ${secret} once\n`, []);
      assert.ok(!kept.includes(secret) && !kept.includes(encoded), kept);
      const [variable, ...others] = references(kept);
      assert.deepEqual(others, []);
      assert.match(variable ?? '', /^HOLDFAST_/);
      const values = new Map([[variable ?? '', encoded]]);
      assert.equal(readWith(kept, values), readWith(text, new Map()));
      // Once more is the same: a configuration that was brought back is no new one.
      assert.equal(withoutSecrets(kept, [new Secret(secret)]), kept);
    };
    for (const setting of secretSettings)
      fc.assert(
        fc.property(anySecret, style, (secret, how) => check(setting, secret, how)),
        { seed, numRuns: 60 },
      );
  });

  it('names the variable of the setting, which sets it as well', () => {
    for (const setting of secretSettings) {
      if (setting.meta.secret !== 'value') continue;
      const [variable = ''] = references(withoutSecrets(fileWith(setting, 'hunter2'), []));
      const own = setting.path.map((key) => (key === anySourceName ? name : key));
      const parsed = parseConfig({
        file: { name: 'x', text: fileWith(setting, '${IT}'), directory: '/' },
        variables: new Map(
          Object.entries({ IT: 'first', [variable]: 'second' }).map(([key, value]) => [
            key,
            { value, file: undefined },
          ]),
        ),
        cwd: '/',
        home: '/',
        ...(own.includes('client_secret') ? {} : {}),
      });
      assert.deepEqual(parsed.origins.exact(own)?.layer, 'environment', variable);
    }
  });

  it('leaves everything else byte for byte: the template, and every setting that is no secret', () => {
    const template = configTemplate();
    const lines = withoutSecrets(template, []).split('\n');
    const changed = template.split('\n').filter((line, index) => line !== lines[index]);
    const keys = secretSettings.map(({ path }) => path.at(-1) ?? '');
    assert.deepEqual(
      changed.filter((line) => !keys.some((key) => line.includes(`${key}: `))),
      [],
    );
    for (const setting of allSettings) {
      const { secret, example } = setting.meta;
      const value = example ?? setting.choices?.[0] ?? setting.defaultValue;
      if (secret !== undefined || value === undefined) continue;
      // Examples are of what stands in a file, or of what it says.
      const written = typeof value === 'string' && /^[\w./[{]/.test(value) ? value : JSON.stringify(value);
      const text = `# first\n${fileWith(setting, written)}  # last\n`;
      assert.equal(withoutSecrets(text, []), text);
    }
  });

  it('keeps what is a reference, and takes the default out of one', () => {
    const kept = (text: string): string => withoutSecrets(text, []);
    for (const text of [
      'encryption: { passphrase: ${PASS} }\n',
      'sources: { a: { type: postgres, url: "${DATABASE_URL}" } }\n',
      'sources: { a: { type: postgres, url: "postgres://${U:-me}:${PASS}@h/d" } }\n',
      'sources: { a: { type: postgres, url: "postgres://me@h:5432/d?application_name=x" } }\n',
      'repository: sftp://backup@host:22/srv\n',
    ])
      assert.equal(kept(text), text);
    assert.equal(
      kept('encryption: { passphrase: "${P:-hunter2}" }\n'),
      'encryption: { passphrase: "${P}" }\n',
    );
    assert.equal(
      kept('encryption: { passphrase: "a${P}" }\n'),
      'encryption: { passphrase: "${HOLDFAST_PASSPHRASE}" }\n',
    );
  });

  it('takes a URL out whole where it is not plain what in it is the password', () => {
    for (const url of [
      'postgres://app:hun@ter2/x@db/shop',
      'postgres://app:hun/ter2@db/shop',
      'postgres://db/shop?user=app&password=hunter2',
      'postgres://app:hun?ter2@db/shop',
      'postgres://app:a@b,c:hunter2@db/shop',
    ]) {
      const kept = withoutSecrets(`sources:\n  a: { type: postgres, url: ${JSON.stringify(url)} }\n`, []);
      assert.equal(kept, 'sources:\n  a: { type: postgres, url: "${HOLDFAST_SOURCES_A_URL}" }\n', url);
    }
  });

  it('finds secrets that stand where none belongs', () => {
    const text = `# the passphrase: correct horse battery
encryption: { passphrase_command: "echo 'correct horse battery'" }  # correct horse battery
repository: sftp://backup:hunter2@host/srv
sources:
  a: { type: files, paths: [d], tags: { note: "not correct horse battery" } }
  # b: { type: postgres, url: postgres://app:hunter2@db/shop }
  # password = hunter2
`;
    const kept = withoutSecrets(text, [new Secret('correct horse battery')]);
    assert.doesNotMatch(kept, /hunter2|correct horse/);
    assert.match(kept, /passphrase_command: "\$\{HOLDFAST_PASSPHRASE_COMMAND\}"/);
    assert.match(kept, /repository: "\$\{HOLDFAST_REPOSITORY\}"/);
    assert.match(kept, /note: "not \*\*\*"/);
    assert.throws(
      () =>
        withoutSecrets('sources:\n  a: { type: files, paths: [d], tags: { verysecretword: x } }\n', [
          new Secret('verysecretword'),
        ]),
      /a secret stands in the name/,
    );
  });

  it('follows aliases to what they stand for', () => {
    const text =
      'sources:\n  a: { type: postgres, host: h, user: &x hunter2, password: *x }\n  b: &b { type: postgres, password: other }\n  c: *b\n';
    assert.doesNotMatch(withoutSecrets(text, []), /hunter2|other/);
  });

  it('tells of the environment what is no secret, and the names of the rest', () => {
    const env = {
      HOLDFAST_S3_REGION: 'eu-west-1',
      HOLDFAST_PASSPHRASE: 'hunter2',
      HOLDFAST_SOURCES_SHOP_URL: 'postgres://app@db/shop',
      HOLDFAST_SOURCES_SHOP_URL_FILE: '/run/url',
      HOLDFAST_REPOSITORY: 'sftp://a:hunter2@h/d',
      HOLDFAST_LOG_LEVEL: 'debug',
      DATABASE_URL: 'postgres://x:hunter2@h/d',
      PATH: '/bin',
    };
    assert.deepEqual(environmentOf(env), [
      { name: 'DATABASE_URL', value: null },
      { name: 'HOLDFAST_PASSPHRASE', value: null },
      { name: 'HOLDFAST_REPOSITORY', value: null },
      { name: 'HOLDFAST_S3_REGION', value: 'eu-west-1' },
      { name: 'HOLDFAST_SOURCES_SHOP_URL', value: null },
      { name: 'HOLDFAST_SOURCES_SHOP_URL_FILE', value: '/run/url' },
    ]);
  });
});

describe('configurations in a repository', () => {
  it('are kept when they have changed, for each host, and are sealed', async () => {
    const storage = new MemoryStorage(systemClock);
    await using repository = await makeRepository(storage);
    let nowMs = Date.UTC(2026, 10, 22);
    const keep = async (host: string, text: string): Promise<string | undefined> =>
      await keepConfig(
        repository,
        { file: '/etc/h.yaml', text, environment: [] },
        { host, user: 'me', nowMs: (nowMs += 1000) },
      );
    const first = (await keep('one', 'repository: a\n')) ?? '';
    assert.match(first, /^config\/20261122t000001000z-[0-9a-f]{16}$/);
    assert.equal(await keep('one', 'repository: a\n'), undefined);
    assert.ok(await keep('two', 'repository: a\n'));
    assert.equal(await keep('one', 'repository: a\n'), undefined);
    assert.ok(await keep('one', 'repository: b\n'));
    assert.ok(await keep('one', 'repository: a\n'), 'what came back is new');
    assert.equal((await keptConfigNames(repository)).length, 4);
    const kept = await readKeptConfig(repository, first);
    assert.equal(kept?.text, 'repository: a\n');
    assert.equal(kept.host, 'one');
    assert.ok(!Buffer.from(await storage.get(first)).includes('repository'));
    await storage.delete(first);
    assert.equal(await readKeptConfig(repository, first), undefined);
  });
});

describe('a URL without a password', () => {
  it('is no secret: the configuration is kept as it is', () => {
    for (const url of [
      'postgres://shop@localhost/shop',
      'postgresql://localhost:5433/shop?sslmode=require',
    ]) {
      const text = `sources: { shop: { type: postgres, url: "${url}" } } # as in the README\n`;
      assert.equal(withoutSecrets(text, [new Secret(url)]), text);
    }
  });

  it('is one with a password, wherever that stands', () => {
    const url = 'postgres://shop:correct-horse@localhost/shop';
    const kept = withoutSecrets(`sources: { shop: { type: postgres, url: "${url}" } }\n`, [new Secret(url)]);
    assert.ok(!kept.includes('correct-horse') && kept.includes('HOLDFAST_SOURCES_SHOP_PASSWORD'), kept);
  });
});

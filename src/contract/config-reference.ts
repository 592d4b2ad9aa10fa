import { allSettings, anySourceName, type Setting } from './config-settings.ts';
import { describeDefault } from './config-template.ts';

/** The page `docs/configuration.md`, from the schema. */
export function configReference(): string {
  // What a repository may have of its own of a section is told once, there.
  const told = allSettings.filter(({ path }) => path[0] !== 'repositories' || path.length === 3);
  const sections = Map.groupBy(told, titleOf);
  return `${[introduction, ...Array.from(sections, ([title, settings]) => section(title, settings))].join('\n\n')}\n`;
}

const introduction = `# Configuration

<!-- Made by npm run generate from src/contract/config.ts. Do not edit. -->

Holdfast reads \`holdfast.yaml\` in the current directory, or the file named by \`--config\` or \`HOLDFAST_CONFIG\`. It needs none: with \`DATABASE_URL\` or the \`PG*\` variables set, the defaults are enough, and the source is named after the database.

Flags win over environment variables, environment variables over the file, the file over defaults. Whatever is unknown, empty or contradictory is refused with the file, line and column, before anything is done.

- **Variables in the file.** \`\${VAR}\` stands for the value of a variable and must be set; \`\${VAR:-default}\` gives a default for one that is unset or empty; \`$$\` is a dollar sign.
- **\`.env\`** beside the configuration file (without one: in the current directory) is read. The real environment wins over it.
- **Secrets** are better kept out of the file: each can come from a variable or from a file named by the setting that ends in \`_file\`. They are never shown, not by \`holdfast config show\` either.
- **Exclusive settings** (a passphrase and a passphrase_file, say) given in the same place contradict each other; given in different places, the stronger place wins.
- **Relative paths** in the file start at its directory, others at the current directory; \`~/\` is the home directory.
- **Lists** in variables are separated by commas (\`shop,blog\`), tags are written \`key=value,key=value\`.
- **Repositories** below \`repositories\` may have sections \`s3\`, \`sftp\`, \`azure\`, \`gs\`, \`gdrive\` and \`retention\` of their own: storage settings over the general ones, retention in their place. In variables: \`HOLDFAST_REPOSITORIES_OFFSITE_S3_ENDPOINT\`.
- **Sources from variables alone**: \`HOLDFAST_SOURCES_SHOP_URL=postgres://…\` makes a source \`shop\`; one of another type than postgres needs \`…_TYPE\` too.

\`holdfast config template\` prints a file with every setting, \`holdfast config validate\` checks yours, \`holdfast config show\` tells the value of each setting and where it comes from, \`holdfast config schema\` prints the JSON Schema for editors.`;

function titleOf({ path, sourceType }: Setting): string {
  if (sourceType !== undefined) return `Sources of type ${sourceType}: \`sources.${anySourceName}\``;
  return path.length === 1 ? 'General' : `\`${path.slice(0, -1).join('.')}\``;
}

function section(title: string, settings: readonly Setting[]): string {
  const rows = settings.map((setting) => {
    const key = (setting.sourceType === undefined ? setting.path.slice(-1) : setting.path.slice(2)).join('.');
    const choices =
      setting.choices === undefined ? '' : ` One of ${setting.choices.map((c) => `\`${c}\``).join(', ')}.`;
    return `| \`${key}\` | ${cell(setting.meta.description)}.${choices} | ${cell(describeDefault(setting))} | \`${setting.env}\` |`;
  });
  return [
    `## ${title}`,
    '',
    '| setting | meaning | default | variable |',
    '| --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}

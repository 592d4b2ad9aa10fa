// The same from a program that uses require: checks a repository and lists its backups.
//
//   HOLDFAST_PASSPHRASE=… node examples/commonjs.cjs ./backups
const { listBackups, verifyBackup } = require('holdfast');

const [repository = './backups'] = process.argv.slice(2);

async function main() {
  const { backups } = await listBackups({ repository });
  for (const { id, source, started_at: started } of backups) console.log(`${id} ${started} ${source}`);
  const { ok, problems } = await verifyBackup({ repository });
  console.log(ok ? 'all is well' : `${problems.length} problems`);
  if (!ok) process.exitCode = 9;
}

main().catch((error) => {
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
});

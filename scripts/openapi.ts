import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { routes } from '../src/api/index.js';
import { openApi } from '../src/api/contract/openapi.js';

// `npm run openapi` writes `openapi.json`, the contract that `GET /openapi.json` answers, from the routes and the schemas that
// validate them. With `--check` it writes nothing, and says whether the file differs.

const file = fileURLToPath(new URL('../openapi.json', import.meta.url));

async function renderContract(): Promise<string> {
  const options = { ...(await resolveConfig(file)), parser: 'json' };
  return format(JSON.stringify(openApi(routes)), options);
}

function readPresent(): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

const made = await renderContract();
if (!process.argv.includes('--check')) writeFileSync(file, made);
else if (readPresent() !== made) {
  process.stderr.write('openapi.json is not what the routes say: run `npm run openapi`\n');
  process.exitCode = 1;
}

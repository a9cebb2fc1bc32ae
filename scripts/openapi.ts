import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { routes } from '../src/api/index.js';
import { openApi } from '../src/api/contract/openapi.js';

// The contract as OpenAPI, from the routes and the schemas that validate them: `openapi.json`, as `GET /openapi.json` answers
// it. With `--check` nothing is written.

const file = fileURLToPath(new URL('../openapi.json', import.meta.url));

async function text(): Promise<string> {
  const options = { ...(await resolveConfig(file)), parser: 'json' };
  return format(JSON.stringify(openApi(routes)), options);
}

function present(): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

const made = await text();
if (!process.argv.includes('--check')) writeFileSync(file, made);
else if (present() !== made) {
  process.stderr.write('openapi.json is not what the routes say: run `npm run openapi`\n');
  process.exitCode = 1;
}

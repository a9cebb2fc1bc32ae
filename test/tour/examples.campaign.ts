import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { projectRoot } from '../../testing/paths.js';
import { startReadyProduct, type Product } from '../../testing/servers/product.js';

// Mostly waits: for the servers, and for what the examples wait for.

const folder = join(projectRoot, 'examples');
const names = readdirSync(folder, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

/** The command of an example's README, and the lines that it says one sees; `…` stands for anything. */
function readExample(name: string): { readonly command: string; readonly lines: readonly RegExp[] } {
  const text = readFileSync(join(folder, name, 'README.md'), 'utf8');
  const block = (language: string): string =>
    new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\``, 'm').exec(text)?.[1] ??
    assert.fail(`${name} has no ${language}`);
  const lines = block('text').trimEnd().split('\n');
  const pattern = (line: string): RegExp => new RegExp(`^${line.split('…').map(escape).join('.+')}$`, 'm');
  return { command: block('sh'), lines: lines.map(pattern) };
}

const escape = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

describe('examples', () => {
  let product: Product;
  before(async () => {
    product = await startReadyProduct('examples');
  });
  after(() => product.stop());

  /** As a reader pastes it, beside the service: also the command that an example prints for a person to approve with. */
  async function paste(command: string): Promise<string> {
    const env = { ...process.env, COUNTERSIGN_HOME: product.home };
    const child = spawn('bash', ['-c', `set -e\n${command}`], { cwd: projectRoot, env, timeout: 120_000 });
    let output = '';
    let approving: Promise<string> | null = null;
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        output += chunk.toString();
        const asked = /^approve with: (.+)\n/m.exec(output)?.[1];
        if (asked !== undefined) approving ??= paste(asked);
      });
    const code = await new Promise((resolve) => child.on('close', resolve));
    await approving;
    assert.equal(code, 0, output);
    return output;
  }

  for (const name of names)
    it(`${name}: its command shows what its README says`, async () => {
      assert.ok(existsSync(join(folder, name, 'README.md')));
      const { command, lines } = readExample(name);
      const output = await paste(command);
      for (const line of lines) assert.match(output, line);
    });
});

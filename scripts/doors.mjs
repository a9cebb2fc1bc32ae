// `npm run doors`: the table of rooms in ARCHITECTURE.md, from what the linter holds. `--check` says whether it is that.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { doors } from '../lint/doors.js';
import { root } from './lib.mjs';

const path = join(root, 'ARCHITECTURE.md');
const [begin, end] = ['<!-- doors: made by `npm run doors` -->', '<!-- /doors -->'];

const told = (names) => names.map((name) => (name.includes('/') ? `\`${name}\`` : name)).join(', ');

function mayUse({ uses, types, packages }) {
  if (uses === null) return 'everything';
  const ownTypes = types.filter((name) => !uses.includes(name));
  const rooms = [told(uses), ownTypes.length === 0 ? '' : `types of ${told(ownTypes)}`];
  const others = (packages ?? []).map((name) => (name === 'node:' ? 'Node' : name)).join(', ');
  return [...rooms, others].filter((text) => text !== '').join('; ') || 'nothing';
}

function table() {
  const rows = Object.entries(doors)
    .filter(([, { holds }]) => holds !== null)
    .map(([room, door]) => `| \`src/${room}\` | ${door.holds} | ${mayUse(door)} |`);
  return ['| room | holds | may use |', '|---|---|---|', ...rows].join('\n');
}

const before = readFileSync(path, 'utf8');
const [head, tail] = [before.indexOf(begin), before.indexOf(end)];
if (head === -1 || tail < head) throw new Error(`ARCHITECTURE.md has no \`${begin}\` … \`${end}\``);
const after = `${before.slice(0, head)}${begin}\n\n${table()}\n\n${before.slice(tail)}`;
if (process.argv.includes('--check')) {
  if (after !== before) {
    process.stderr.write(
      'the table of rooms in ARCHITECTURE.md is not what lint/doors.js says: run `npm run doors`\n',
    );
    process.exitCode = 1;
  }
} else writeFileSync(path, after);

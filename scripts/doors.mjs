// `npm run doors`: the table of rooms in ARCHITECTURE.md, from what the linter holds. `--check` says whether it is that.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { doors } from '../lint/doors.js';
import { folders } from '../lint/folders.js';
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

function tables() {
  const rooms = Object.entries(doors)
    .filter(([, { holds }]) => holds !== null)
    .map(([room, door]) => `| \`src/${room}\` | ${door.holds} | ${mayUse(door)} |`);
  const parts = Object.entries(folders).map(([folder, holds]) => `| \`${folder}\` | ${holds} |`);
  const ofRooms = ['| room | holds | may use |', '|---|---|---|', ...rooms];
  return [...ofRooms, '', '| folder of a room | holds |', '|---|---|', ...parts].join('\n');
}

/** Of the rooms, by their path below `src`; `db/migrations` is no room of code, and a channel's folder is told with the others. */
function foldersOfRooms() {
  const src = join(root, 'src');
  const below = (folder) =>
    readdirSync(join(src, folder), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `${folder}/${name}`);
  return readdirSync(src)
    .flatMap(below)
    .filter((folder) => folder !== 'db/migrations');
}

function differing() {
  const there = foldersOfRooms();
  const told = (folder) => (folder in folders ? folder : `${folder.split('/')[0]}/*`);
  const untold = there.filter((folder) => !(told(folder) in folders));
  const gone = Object.keys(folders).filter((name) => !there.some((folder) => told(folder) === name));
  return [...untold, ...gone];
}

const before = readFileSync(path, 'utf8');
const [head, tail] = [before.indexOf(begin), before.indexOf(end)];
if (head === -1 || tail < head) throw new Error(`ARCHITECTURE.md has no \`${begin}\` … \`${end}\``);
const after = `${before.slice(0, head)}${begin}\n\n${tables()}\n\n${before.slice(tail)}`;
const wrong = differing();
if (wrong.length > 0) {
  process.stderr.write(`lint/folders.js and the folders below src differ: ${wrong.join(', ')}\n`);
  process.exitCode = 1;
} else if (process.argv.includes('--check')) {
  if (after !== before) {
    process.stderr.write(
      'the table of rooms in ARCHITECTURE.md is not what lint/doors.js says: run `npm run doors`\n',
    );
    process.exitCode = 1;
  }
} else writeFileSync(path, after);

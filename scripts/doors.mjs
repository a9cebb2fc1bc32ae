// `npm run doors` writes the tables of rooms in ARCHITECTURE.md from the linter's rules. `--check` only says whether they differ.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { doors } from '../lint/doors.js';
import { folders } from '../lint/folders.js';
import { root } from './lib.mjs';

const path = join(root, 'ARCHITECTURE.md');
const [begin, end] = ['<!-- doors: made by `npm run doors` -->', '<!-- /doors -->'];

const listNames = (names) => names.map((name) => (name.includes('/') ? `\`${name}\`` : name)).join(', ');

function mayUse({ uses, types, packages }) {
  if (uses === null) return 'everything';
  const ownTypes = types.filter((name) => !uses.includes(name));
  const rooms = [listNames(uses), ownTypes.length === 0 ? '' : `types of ${listNames(ownTypes)}`];
  const others = (packages ?? []).map((name) => (name === 'node:' ? 'Node' : name)).join(', ');
  return [...rooms, others].filter((text) => text !== '').join('; ') || 'nothing';
}

function renderTables() {
  const rooms = Object.entries(doors)
    .filter(([, { holds }]) => holds !== null)
    .map(([room, door]) => `| \`src/${room}\` | ${door.holds} | ${mayUse(door)} |`);
  const parts = Object.entries(folders).map(([folder, holds]) => `| \`${folder}\` | ${holds} |`);
  const exceptions = Object.entries(doors)
    .filter(([, { holds }]) => holds === null)
    .map(([part, door]) => `\`src/${part}\` (${mayUse(door)})`);
  const ofRooms = ['| room | holds | may use |', '|---|---|---|', ...rooms];
  const beside = `Parts of rooms with doors of their own: ${exceptions.join('; ')}.`;
  return [...ofRooms, '', beside, '', '| folder of a room | holds |', '|---|---|', ...parts].join('\n');
}

/** The folders inside the rooms, by their path below `src`, except `db/migrations`, which has no code. */
function listFolders() {
  const src = join(root, 'src');
  const below = (folder) =>
    readdirSync(join(src, folder), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `${folder}/${name}`);
  return readdirSync(src)
    .flatMap(below)
    .filter((folder) => folder !== 'db/migrations');
}

function findDifferences() {
  const present = listFolders();
  // A folder without an entry of its own may be in the entry of its room: `executors/*`.
  const entryOf = (folder) => (folder in folders ? folder : `${folder.split('/')[0]}/*`);
  const missing = present.filter((folder) => !(entryOf(folder) in folders));
  const gone = Object.keys(folders).filter((name) => !present.some((folder) => entryOf(folder) === name));
  return [...missing, ...gone];
}

const before = readFileSync(path, 'utf8');
const [head, tail] = [before.indexOf(begin), before.indexOf(end)];
if (head === -1 || tail < head) throw new Error(`ARCHITECTURE.md has no \`${begin}\` … \`${end}\``);
const after = `${before.slice(0, head)}${begin}\n\n${renderTables()}\n\n${before.slice(tail)}`;
const wrong = findDifferences();
if (wrong.length > 0) {
  process.stderr.write(`lint/folders.js and the folders below src differ in ${wrong.join(', ')}\n`);
  process.exitCode = 1;
} else if (process.argv.includes('--check')) {
  if (after !== before) {
    process.stderr.write(
      'the table of rooms in ARCHITECTURE.md is not what lint/doors.js says: run `npm run doors`\n',
    );
    process.exitCode = 1;
  }
} else writeFileSync(path, after);

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { test } from 'node:test';
import { ESLint } from 'eslint';
import { z } from 'zod';
import { projectRoot } from '../../testing/paths.js';

const eslint = new ESLint({ cwd: projectRoot });

async function complaints(file: string, text: string): Promise<string[]> {
  const [result] = await eslint.lintText(text, { filePath: join(projectRoot, file) });
  return (result?.messages ?? []).map(({ ruleId }) => ruleId ?? 'parse error');
}

const doorRule = 'countersign/doors';
const shut: readonly (readonly [file: string, text: string])[] = [
  ['src/engine/x.ts', `import { readFileSync } from 'node:fs';\nreadFileSync('x');\n`],
  ['src/engine/x.ts', `import { z } from 'zod';\nz.string();\n`],
  ['src/engine/x.ts', `import { newId } from '../model/names/ids.js';\nnewId('run');\n`],
  ['src/engine/x.ts', `import type { Pool } from '../db/pool.js';\nexport type X = Pool;\n`],
  ['src/model/x.ts', `import type { Plan } from '../engine/plan.js';\nexport type X = Plan;\n`],
  ['src/policy/x.ts', `import { Client } from '@temporalio/client';\nnew Client();\n`],
  ['src/policy/deep/x.ts', `import { makePool } from '../../db/pool.js';\nmakePool();\n`],
  ['src/workflows/x.ts', `import { z } from 'zod';\nz.string();\n`],
  ['src/workflows/x.ts', `import { stepOf } from '../activities/step.js';\nstepOf();\n`],
  ['src/activities/x.ts', `import { run } from '../workflows/run.js';\nrun();\n`],
  ['src/executors/x.ts', `import { getRun } from '../store/runs/runs.js';\ngetRun();\n`],
  ['src/db/x.ts', `import { getRun } from '../store/runs/runs.js';\ngetRun();\n`],
  ['src/store/x.ts', `import { makeClient } from '../client/client.js';\nmakeClient();\n`],
  ['src/api/x.ts', `import pg from 'pg';\nnew pg.Pool();\n`],
  ['src/api/x.ts', `import { makePool } from '../db/pool.js';\nmakePool();\n`],
  ['src/api/x.ts', `import { run } from '../workflows/run.js';\nrun();\n`],
  ['src/api/x.ts', `import { getRun } from '../store/runs/runs.js';\ngetRun();\n`],
  ['src/service/x.ts', `import { answer } from '../api/http/call.js';\nanswer(200);\n`],
  ['src/service/x.ts', `import { createServer } from 'node:http';\ncreateServer();\n`],
  ['src/simulation/x.ts', `import { readFileSync } from 'node:fs';\nreadFileSync('x');\n`],
  ['src/simulation/x.ts', `import { makeRest } from '../executors/rest.js';\nmakeRest();\n`],
  ['src/cli/x.ts', `import { getRun } from '../store/runs/runs.js';\ngetRun();\n`],
  ['src/policy/x.ts', `export { makePool } from '../db/pool.js';\n`],
  ['src/policy/x.ts', `export * from '../db/pool.js';\n`],
  ['src/policy/x.ts', `export const x = import('../db/pool.js');\n`],
  [
    'src/engine/x.ts',
    `import { type Id, newId } from '../model/names/ids.js';\nexport const x = (id: Id): string => newId(id);\n`,
  ],
  ['src/schema/x.ts', `import x from '../../package.json';\nx();\n`],
  ['src/unheard/x.ts', `import { newId } from '../model/names/ids.js';\nnewId('run');\n`],
  ['src/embedded/x.ts', `import { readConfig } from '../processes/config.js';\nreadConfig();\n`],
];

for (const [file, text] of shut) {
  test(`${file} may not: ${text.split('\n')[0]}`, async () => {
    assert.deepEqual(await complaints(file, text), [doorRule]);
  });
}

const open: readonly (readonly [file: string, text: string])[] = [
  ['src/engine/x.ts', `import type { Json } from '../model/values/json.js';\nexport type X = Json;\n`],
  ['src/engine/x.ts', `import { decide } from './decide.js';\ndecide();\n`],
  ['src/engine/deep/x.ts', `import { decide } from '../decide.js';\ndecide();\n`],
  ['src/workflows/x.ts', `import type { Step } from '../activities/types.js';\nexport type X = Step;\n`],
  ['src/client/x.ts', `import { bellSignal } from '../workflows/bell.js';\nexport const x = bellSignal;\n`],
  ['src/processes/x.ts', `import { makePool } from '../db/pool.js';\nmakePool();\n`],
];

for (const [file, text] of open) {
  test(`${file} may: ${text.split('\n')[0]}`, async () => {
    assert.deepEqual(await complaints(file, text), []);
  });
}

test('the engine has no clock, no chance, no promise', async () => {
  const text = `export const x = async (): Promise<number> => Date.now() + Math.random() + new Date().getTime();\n`;
  assert.deepEqual((await complaints('src/engine/x.ts', text)).sort(), [
    'no-restricted-properties',
    'no-restricted-properties',
    'no-restricted-syntax',
    'no-restricted-syntax',
  ]);
});

const names = z.array(z.string());
const door = z.object({ uses: names.nullable(), types: names, packages: names.nullable() });
const { doors } = z
  .object({ doors: z.record(z.string(), door) })
  .parse(await import(join(projectRoot, 'lint/doors.js')));

/** What the files of each room import: `.` begins a path below `src`, without its ending. */
function importsByRoom(): Map<string, string[]> {
  const src = join(projectRoot, 'src');
  const found = new Map<string, string[]>();
  for (const name of readdirSync(src, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue;
    const own = name.slice(0, -'.ts'.length);
    const [room = assert.fail(`\`${name}\` stands in no room`)] = Object.keys(doors)
      .filter((each) => isWithin(own, each))
      .sort((a, b) => b.length - a.length);
    const specifiers = readFileSync(join(src, name), 'utf8').matchAll(/(?:from|import\()\s*'([^']+)'/g);
    const imported = [...specifiers].map(([, specifier = '']) =>
      specifier.startsWith('.') ? `./${join(dirname(name), specifier).replace(/\.js$/, '')}` : specifier,
    );
    found.set(room, [...(found.get(room) ?? []), ...imported]);
  }
  return found;
}

const isWithin = (path: string, place: string): boolean => path === place || path.startsWith(`${place}/`);

test('no door is open through which nobody goes', () => {
  const imports = importsByRoom();
  const unused = Object.entries(doors).flatMap(([room, { uses, types, packages }]) => {
    const imported = imports.get(room) ?? [];
    const isUsed = (door: string): boolean =>
      imported.some((each) => (door === 'node:' ? each.startsWith(door) : isWithin(each, door)));
    const named = [...[...(uses ?? []), ...types].map((door) => `./${door}`), ...(packages ?? [])];
    return named.filter((door) => !isUsed(door)).map((door) => `${room} to ${door}`);
  });
  assert.deepEqual(unused, []);
});

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { canonical } from '../../model/canonical.js';
import { sha256 } from '../../schema/kit.js';
import type { Catalog } from '../compile/context.js';

// What a flow's plan follows from, beside its text.

/** Two of the same: a text compiles to the same plan, or has the same errors, under both. */
export function basisOf({ policySet, tools }: Catalog): string {
  const { formerEnvironments: _former, notifications: _routes, ...compiled } = policySet;
  return sha256(canonical({ compiler: compiler(), policySet: compiled, tools }));
}

let known: string | undefined;

/** The code of the rooms that compile, and the versions of what they use: another build may compile otherwise. */
function compiler(): string {
  known ??= sha256(compilingRooms.flatMap(codeOf).concat(lockOf()).join('\n'));
  return known;
}

/** What compiles a flow, and whatever that imports, is in one of them. */
export const compilingRooms = ['model', 'engine', 'schema', 'policy', 'executors'];

function codeOf(room: string): string[] {
  const folder = new URL(`../../${room}/`, import.meta.url);
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.(ts|js)$/.test(name),
  );
  return names.sort().map((name) => `${room}/${name} ${sha256(readFileSync(new URL(name, folder), 'utf8'))}`);
}

function lockOf(): string[] {
  const path = fileURLToPath(new URL('../../../package-lock.json', import.meta.url));
  return existsSync(path) ? [sha256(readFileSync(path, 'utf8'))] : [];
}

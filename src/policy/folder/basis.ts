import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { canonical } from '../../model/values/canonical.js';
import { sha256 } from '../../schema/kit.js';
import type { Catalog } from '../compile/context.js';

// The basis of a plan: what it follows from, apart from the flow's text.

/** A hash. Under two catalogs with the same basis, a text compiles to the same plan or has the same errors. */
export function basisOf({ policySet, tools }: Catalog): string {
  const { formerEnvironments: _former, notifications: _routes, ...compiled } = policySet;
  return sha256(canonical({ compiler: compilerHash(), policySet: compiled, tools }));
}

let knownHash: string | undefined;

/** Over the code of the rooms that compile, and the versions of what they use: another build may compile otherwise. */
function compilerHash(): string {
  knownHash ??= sha256(compilingRooms.flatMap(hashesOfRoom).concat(lockHash()).join('\n'));
  return knownHash;
}

/** All code that compiles a flow, with everything that it imports from the project, is in these rooms. */
export const compilingRooms = ['model', 'engine', 'schema', 'policy', 'executors'];

function hashesOfRoom(room: string): string[] {
  const folder = new URL(`../../${room}/`, import.meta.url);
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.(ts|js)$/.test(name),
  );
  return names.sort().map((name) => `${room}/${name} ${sha256(readFileSync(new URL(name, folder), 'utf8'))}`);
}

function lockHash(): string[] {
  const path = fileURLToPath(new URL('../../../package-lock.json', import.meta.url));
  return existsSync(path) ? [sha256(readFileSync(path, 'utf8'))] : [];
}

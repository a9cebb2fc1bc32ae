import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  checkFlowText,
  loadFolder,
  type Catalog,
  type LoadedFolder,
  type Problem,
} from '../../src/policy/index.js';

// Flows as text. `«` stands right before the position that a problem is expected to name.

export const policies = join(import.meta.dirname, '../../policies');

export async function loadShipped(): Promise<LoadedFolder> {
  const loaded = await loadFolder(policies);
  if (loaded.status === 'invalid') throw new Error(JSON.stringify(loaded.errors));
  return loaded;
}

export async function readShippedText(file: string): Promise<string> {
  return readFile(join(policies, file), 'utf8');
}

export interface Marked {
  readonly text: string;
  readonly line: number;
  readonly column: number;
}

export function takeMark(text: string): Marked {
  const at = text.indexOf('«');
  if (at === -1 || text.indexOf('«', at + 1) !== -1) throw new Error(`exactly one mark is expected: ${text}`);
  const before = text.slice(0, at).split('\n');
  return {
    text: text.replace('«', ''),
    line: before.length,
    column: (before.at(-1) ?? '').length + 1,
  };
}

function indent(text: string, by: number): string {
  return text
    .split('\n')
    .map((line) => ' '.repeat(by) + line)
    .join('\n');
}

/** A flow `f` with the given states. */
export function withStates(states: string, more = ''): string {
  return `workflows:\n  f:\n    owner: team\n    initialState: a\n${more === '' ? '' : `${indent(more, 4)}\n`}    states:\n${indent(states, 6)}\n`;
}

/** A flow `f` whose state `a` has one transition `go` to the terminal state `b`. */
export function withTransition(lines: string, more = ''): string {
  return withStates(
    `a:\n  transitions:\n    go:\n      target: b\n${indent(lines, 6)}\nb:\n  terminal: true`,
    more,
  );
}

/** The transition above with one guard, written in one line. */
export function withGuard(guard: string): string {
  return withTransition(`guards:\n  - ${guard}`);
}

export const transitionAt = '/workflows/f/states/a/transitions/go';

export function errorsOf(text: string, catalog: Catalog): readonly Problem[] {
  const checked = checkFlowText(text, { catalog });
  return checked.status === 'invalid' ? checked.errors : [];
}

export function warningsOf(text: string, catalog: Catalog): readonly string[] {
  return checkFlowText(text, { catalog }).warnings.map((finding) => finding.code);
}

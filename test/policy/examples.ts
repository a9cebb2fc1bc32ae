import { readFileSync } from 'node:fs';
import { join } from 'node:path';

// The examples of docs/checks.md, as the page has them.

export type Files = Readonly<Record<string, string>>;

export interface Example {
  readonly text: string;
  /** Whether the example stands alone or with the files of the page; `without a folder`: no file, and no folder. */
  readonly where: 'folder' | 'alone' | 'without a folder';
}

export const page = readFileSync(join(import.meta.dirname, '../../docs/checks.md'), 'utf8');
export const entries = new Map(
  page
    .split(/^## /m)
    .slice(1)
    .map((part): [string, string] => [part.slice(0, part.indexOf('\n')), part])
    .filter(([name]) => /^[A-Z_]+$/.test(name)),
);

export function block(text: string, info: string): Example | null {
  const found = new RegExp(`^\`\`\`yaml ${info}( alone| without a folder)?\n([^]*?)^\`\`\`$`, 'm').exec(text);
  if (found === null) return null;
  return { text: found[2] ?? '', where: (found[1]?.trim() ?? 'folder') as Example['where'] };
}

/** `# roles.yaml` begins a file; what comes before the first is a flow's. */
export function filesOf(text: string): Files {
  const parts = text.split(/^# ((?:[a-z]+\/)?[a-z]+\.(?:yaml|json))\n/m);
  const [first = '', ...named] = parts;
  const files: Record<string, string> = first.trim() === '' ? {} : { 'flows/refund.yaml': first };
  for (let at = 0; at < named.length; at += 2) files[named[at] ?? ''] = named[at + 1] ?? '';
  return files;
}

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { run } from '../../src/cli/command.js';
import { projectRoot } from '../../testing/paths.js';

export const policies = join(projectRoot, 'policies');

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the command line, in the folder of the shipped policies unless told otherwise. */
export async function countersign(argv: readonly string[], folder = policies): Promise<Ran> {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await run(argv, {
    out: (line) => void out.push(line),
    err: (line) => void err.push(line),
    env: { COUNTERSIGN_POLICIES: folder },
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

export interface Folder {
  readonly root: string;
  write(path: string, text: string): string;
  read(path: string): string;
  remove(): void;
}

/** A policies folder of its own, the shipped one copied into it where asked. */
export function makeFolder({ shipped = false }: { readonly shipped?: boolean } = {}): Folder {
  const home = mkdtempSync(join(tmpdir(), 'countersign-cases-'));
  const root = join(home, 'policies');
  mkdirSync(root);
  if (shipped) cpSync(policies, root, { recursive: true });
  return {
    root,
    write: (path, text) => {
      const file = join(root, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
      return file;
    },
    read: (path) => readFileSync(join(root, path), 'utf8'),
    remove: () => rmSync(home, { recursive: true, force: true }),
  };
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadFolder, type FolderResult } from '../../src/policy/index.js';
import { writeFiles } from '../../testing/files.js';

/** What comes of a policies folder with these files, by their paths. */
export async function loadFiles(files: Readonly<Record<string, string | Buffer>>): Promise<FolderResult> {
  const home = mkdtempSync(join(tmpdir(), 'countersign-policies-'));
  try {
    const folder = join(home, 'policies');
    writeFiles(folder, files);
    return await loadFolder(folder);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

import { checkFlowText, type FlowCheck } from './check-text.js';
import type { Media } from './source.js';
import { loadFolder, type FolderResult, type LoadedFolder } from './folder.js';

/** A folder that is invalid says nothing of what was published. */
export type FolderLoad =
  | (LoadedFolder & { readonly published: readonly FlowCheck[] })
  | Extract<FolderResult, { readonly status: 'invalid' }>;

/** The folder, and `published`: texts of flows that stand in no file, as their authors sent them, compiled against what it declares, in order. */
export async function loadWith(
  root: string,
  {
    knownQueues,
    published,
  }: { readonly knownQueues: readonly string[]; readonly published: readonly string[] },
): Promise<FolderLoad> {
  const loaded = await loadFolder(root, { knownQueues });
  if (loaded.status === 'invalid') return loaded;
  const { catalog } = loaded;
  const media = (text: string): Media => (/^\s*[{[]/u.test(text) ? 'json' : 'yaml');
  return {
    ...loaded,
    published: published.map((text) => checkFlowText(text, { catalog, media: media(text) })),
  };
}

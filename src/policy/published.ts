import { checkFlowText, type FlowCheck } from './check-text.js';
import { loadFolder, type FolderResult, type LoadedFolder } from './folder.js';

/** A folder that is invalid says nothing of what was published. */
export type FolderLoad =
  | (LoadedFolder & { readonly published: readonly FlowCheck[] })
  | Extract<FolderResult, { readonly status: 'invalid' }>;

/** The folder, and `published`: definitions of flows that stand in no file, compiled against what it declares, in order. */
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
  return { ...loaded, published: published.map((text) => checkFlowText(text, { catalog, media: 'json' })) };
}

import { checkFlowText } from '../src/policy/checker/check-text.js';
import { makeChecker, type CheckResult, type Checker } from '../src/policy/checker/checker.js';
import { basisOf } from '../src/policy/folder/basis.js';
import { compilePublished, loadReady } from '../src/policy/folder/published.js';
import { toReadyCheck, type ReadyFlow } from '../src/policy/folder/ready.js';

const smallText = 16_384;

/**
 * The product's checker, except that it checks short texts in this process, and reads the folder in this process at a start: to
 * start a thread takes a third of a second of a core. A reload has its thread, so that beside a publication it takes as long as
 * in the product.
 */
export function makeTestChecker(): Checker {
  const checker = makeChecker();
  return {
    flow: async (text, media, catalog, asker) => {
      if (text.length > smallText) return checker.flow(text, media, catalog, asker);
      const checked = toReadyCheck(checkFlowText(text, { catalog, media }));
      const found: CheckResult =
        checked.status === 'valid' ? { ...checked, basis: basisOf(catalog) } : checked;
      return structuredClone(found);
    },
    folder: async (given, use) => {
      if (!given.patient) return checker.folder(given, use);
      const flows: ReadyFlow[] = [];
      const add = (flow: ReadyFlow): void => void flows.push(structuredClone(flow));
      const loaded = await loadReady(given.root, await given.knownQueues(), add);
      if (loaded.status === 'invalid') return use(loaded, () => Promise.resolve({ status: 'late' }));
      const { catalog } = loaded;
      return use({ ...loaded, flows }, (text) => Promise.resolve(compilePublished(text, catalog)));
    },
  };
}

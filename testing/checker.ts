import { makeChecker, type Checker } from '../src/policy/checker/checker.js';
import { compilePublished, loadReady } from '../src/policy/folder/published.js';
import type { ReadyFlow } from '../src/policy/folder/ready.js';

/** The product's, but for who starts: that one reads its folder in this process, since a thread takes a third of a second. */
export function makeTestChecker(): Checker {
  const checker = makeChecker();
  return {
    ...checker,
    folder: async (given, use) => {
      if (!given.patient) return checker.folder(given, use);
      const flows: ReadyFlow[] = [];
      const queues = await given.knownQueues();
      const loaded = await loadReady(given.root, queues, (flow) => void flows.push(structuredClone(flow)));
      if (loaded.status === 'invalid') return use(loaded, () => Promise.resolve({ status: 'late' }));
      const { catalog } = loaded;
      return use({ ...loaded, flows }, (text) => Promise.resolve(compilePublished(text, catalog)));
    },
  };
}

import { countBlocks } from '../../testing/blocks.js';

// `growth.campaign.ts` starts it, as a process of its own.
// Writes, of each shape, the work that checking a quarter of it takes, and all of it.

const { checkFlowText } = await import('../../src/policy/index.js');
const { catalog, shapes } = await import('./large-flows.js');

function workOf(text: string): number {
  countBlocks();
  checkFlowText(text, { catalog, media: 'json' });
  return countBlocks();
}

// Reachability may take a square until it has looked as far as it may (`analysis.ts`): of these shapes a quarter gets there.
const counts = Object.entries(shapes).map(([title, { count, text }]) => {
  const whole = title.includes('as many keys') ? count : Math.min(count, 400);
  // What is made once in a process is made before.
  workOf(text(8));
  return [title, [workOf(text(whole / 4)), workOf(text(whole))]] as const;
});
process.stdout.write(JSON.stringify(Object.fromEntries(counts)));

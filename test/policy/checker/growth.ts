import { countBlocks } from '../../../testing/blocks.js';

// `growth.campaign.ts` starts it, as a process of its own.
// For each shape of flow, writes the work of checking a quarter of it, and of checking all of it.

const { checkFlowText } = await import('../../../src/policy/index.js');
const { catalog, shapes } = await import('./large-flows.js');

function workOf(text: string): number {
  countBlocks();
  checkFlowText(text, { catalog, media: 'json' });
  return countBlocks();
}

// Reachability may take time that grows with the square until its steps are used up (`analysis.ts`): a quarter of these shapes
// uses them up.
const counts = Object.entries(shapes).map(([title, { count, text }]) => {
  const whole = title.includes('as many keys') ? count : Math.min(count, 400);
  // First once, so that what is made once in a process is not counted.
  workOf(text(8));
  return [title, [workOf(text(whole / 4)), workOf(text(whole))]] as const;
});
process.stdout.write(JSON.stringify(Object.fromEntries(counts)));

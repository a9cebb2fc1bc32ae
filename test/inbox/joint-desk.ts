import { joinStack } from '../../testing/servers/joint-stack.js';
import { openDeskOn, policies, type Desk } from './support.js';

/** For files that look only at their own approvals; asked when the file is loaded. */
export function joinDesk(): () => Promise<Desk> {
  joint ??= joinStack(() => ({ policies }));
  const stack = joint;
  return () => (desk ??= stack().then(openDeskOn));
}

let joint: ReturnType<typeof joinStack> | null = null;
let desk: Promise<Desk> | null = null;

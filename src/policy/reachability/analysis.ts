// Guards are looked into as far as is cheap. The cases of several grow with the product of their values, so what one
// document may cost is counted: beyond it nothing is certain, and nothing is said.

const most = 1_000_000;

let left = most;

/** Of the document that is checked from here on. Checking is synchronous, so there is one at a time. */
export function beginAnalysis(): void {
  left = most;
}

/** Takes the steps, if there are so many left. */
export function mayLook(steps: number): boolean {
  if (left < steps) return false;
  left -= steps;
  return true;
}

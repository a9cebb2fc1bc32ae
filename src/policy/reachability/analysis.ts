// What the analysis of guards may cost. The cases of several guards grow with the product of their values, so the steps that
// a document costs are counted. Once they are used up, nothing is certain any more, and no warning is given.

const mostSteps = 1_000_000;

let stepsLeft = mostSteps;

/** Counts anew, for the document that is checked from here on. Checking is synchronous, so documents do not mix. */
export function beginAnalysis(): void {
  stepsLeft = mostSteps;
}

/** False, and nothing is taken, where fewer steps are left. */
export function takeSteps(steps: number): boolean {
  if (stepsLeft < steps) return false;
  stepsLeft -= steps;
  return true;
}

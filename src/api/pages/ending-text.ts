import type { ApprovalProgress } from '../../service/approvals/course.js';

// What came of an approval and its action, in a sentence for whoever has decided.

export function endingText(progress: ApprovalProgress): string {
  switch (progress.approval) {
    case 'open':
    case 'escalated':
      return progress.isHeldUp
        ? 'The run has taken your decision, and waits for others, and for an operator.'
        : 'The run has taken your decision, and waits for others.';
    case 'denied':
      return 'It is denied: nothing of it runs.';
    case 'expired':
      return 'Not all who were asked have decided in time: nothing of it runs.';
    case 'revoked':
      return 'It was revoked since: nothing of it runs.';
    case 'approved':
    case 'consumed':
      return approvedText(progress);
  }
}

function approvedText({ action, wasTried, code, isHeldUp }: ApprovalProgress): string {
  const why = code === null ? '' : ` (${code})`;
  switch (action) {
    case 'executed':
      return 'It is approved, and has run.';
    case 'failed':
      return failedText(wasTried, why);
    case 'unknown':
      // If a person finds out, or a retry succeeds, the run and its later actions say so, not this approval.
      return unknownText(why);
    case 'denied':
    case 'expired':
    case 'revoked':
      return `It was approved, and is ${action} since: nothing of it runs.`;
    case 'executing':
      return 'It is approved, and runs.';
    case 'pending':
    case 'approved':
      return isHeldUp
        ? 'It is approved, and has not run yet: its run waits for an operator.'
        : 'It is approved, and runs as soon as its run comes to it.';
    case null:
      return 'It is approved; what came of it is not known here.';
  }
}

function failedText(wasTried: ApprovalProgress['wasTried'], why: string): string {
  switch (wasTried) {
    case 'no':
      return `It is approved, and was not run${why}: it is to be asked for again.`;
    case 'yes':
      return `It is approved, and running it failed${why}.`;
    case 'maybe':
      return unknownText(why);
  }
}

function unknownText(why: string): string {
  return `It is approved, and whether it has happened is not known${why}: a person has to look at the target.`;
}

import { defaultFailureConverter, type FailureConverter, type ProtoFailure } from '@temporalio/common';

/**
 * As the SDK's own, and every text of a failure is well-formed. The message of an error may quote what a stranger has sent: half
 * a surrogate pair in it would not be UTF-8 for Temporal's core, which ends the worker's process over it, again after each restart.
 * And no failure that a stranger has put together is thrown over, since the tasks of its workflow would fail for ever.
 */
export const failureConverter: FailureConverter = {
  errorToFailure: (...given) => wellFormed(defaultFailureConverter.errorToFailure(...given)),
  failureToError: (...given) => {
    try {
      return defaultFailureConverter.failureToError(...given);
    } catch {
      return new Error('a failure that cannot be read');
    }
  },
};

function wellFormed(failure: ProtoFailure): ProtoFailure {
  const { message, stackTrace, source, cause, applicationFailureInfo: info } = failure;
  return {
    ...failure,
    message: (message ?? '').toWellFormed(),
    stackTrace: (stackTrace ?? '').toWellFormed(),
    source: (source ?? '').toWellFormed(),
    ...(cause && { cause: wellFormed(cause) }),
    ...(info && { applicationFailureInfo: { ...info, type: (info.type ?? '').toWellFormed() } }),
  };
}

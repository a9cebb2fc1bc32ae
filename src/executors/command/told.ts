import type { Excerpts } from '../masking/mask.js';

// What is told of a command that did not start, or failed.

/** What to do about a command that could not be started, by the code of the error. */
export function startAdvice(code: string): string {
  return code === 'E2BIG'
    ? 'this system passes less to a command than its arguments and `env` take: send less, or raise the stack limit of the worker (`ulimit -s`)'
    : 'check `command`';
}

/** The end of a command's standard error, where it says why it failed, as the end of a message. */
export function lastWords(stderr: string, excerpts: Excerpts, kept: 'whole' | 'tail' = 'whole'): string {
  const text = excerpts.end(stderr.trim(), 500, '...', kept);
  return text === '' ? '' : `: ${text}`;
}

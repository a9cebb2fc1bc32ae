const actsBySignal = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `act` once the signal is aborted, unless the function that this gives is called before. Where it is aborted already, nothing is
 * called: whoever comes then has to look. For a signal that many wait with: it has one listener for them all, since it goes through all
 * its listeners for each that comes or leaves.
 */
export function whenStopping(signal: AbortSignal, act: () => void): () => void {
  const acts = actsBySignal.get(signal) ?? listenOnce(signal);
  acts.add(act);
  return () => acts.delete(act);
}

function listenOnce(signal: AbortSignal): Set<() => void> {
  const acts = new Set<() => void>();
  actsBySignal.set(signal, acts);
  signal.addEventListener('abort', () => acts.forEach((act) => act()), { once: true });
  return acts;
}

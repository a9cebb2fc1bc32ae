/**
 * Runs `act` for each item, at most `lanes` of them at a time; gives the results in the order of the items. If an item throws, no
 * other is begun, and the error is thrown when all that were begun have ended.
 */
export async function inLanes<T, R>(
  items: readonly T[],
  lanes: number,
  act: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    try {
      for (let index = next++; index < items.length; index = next++)
        results[index] = await act(items[index] as T);
    } catch (error) {
      next = items.length;
      throw error;
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: Math.min(lanes, items.length) }, lane));
  for (const outcome of ended) if (outcome.status === 'rejected') throw outcome.reason;
  return results;
}

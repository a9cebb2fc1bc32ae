/**
 * Each item once, `lanes` of them at a time; the results in the order of the items. After one that throws none is begun any more,
 * and the error is thrown when all that were begun have ended.
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
  for (const one of ended) if (one.status === 'rejected') throw one.reason;
  return results;
}

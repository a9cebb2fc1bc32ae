/** Milliseconds between two questions. What takes long is asked for less often: asking costs those that it waits for. */
const pauses = { first: 20, longest: 100, growth: 1.05 };

/** Asks again until there is an answer, or throws when the time is over. Tests wait in no other way. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  timeoutMs = 30_000,
): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (let pause = pauses.first; ; pause = Math.min(pause * pauses.growth, pauses.longest)) {
    const found = await ask();
    if (found !== null && found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`waited ${timeoutMs} ms in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

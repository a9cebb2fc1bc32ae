// A reporter for `node --test`: a line of JSON a test file, `{file, seconds}`, when it is done.
// eslint-disable-next-line no-restricted-exports -- node asks a reporter's module for its default export
export default async function* fileTimes(events) {
  for await (const { type, data } of events) {
    if (type !== 'test:complete' || data.nesting !== 0 || data.name !== data.file) continue;
    yield `${JSON.stringify({ file: data.name, seconds: data.details.duration_ms / 1_000 })}\n`;
  }
}

// A reporter for `node --test`: a line of JSON a test file, `{file, seconds}`, when it is done, and `{ran}` at the end, how many tests
// were not skipped.
// eslint-disable-next-line no-restricted-exports -- node asks a reporter's module for its default export
export default async function* fileTimes(events) {
  let ran = 0;
  for await (const { type, data } of events) {
    const isFile = data.nesting === 0 && data.name === data.file;
    const isTest = !isFile && data.details?.type !== 'suite' && data.skip === undefined;
    if (isTest && (type === 'test:pass' || type === 'test:fail')) ran += 1;
    if (type === 'test:complete' && isFile)
      yield `${JSON.stringify({ file: data.name, seconds: data.details.duration_ms / 1_000 })}\n`;
  }
  yield `${JSON.stringify({ ran })}\n`;
}

// A reporter for `node --test`. It writes a line of JSON for each test file when the file is done, `{file, seconds}`, and at the
// end a line with the number of tests that were not skipped, `{ran}`.
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

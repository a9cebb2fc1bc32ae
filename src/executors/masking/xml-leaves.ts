import { undoneText } from './decodings.js';
import { undoEntities } from './entities.js';
import type { Leaf } from './json-leaves.js';

// The texts of XML, each with the name of its element, and its attributes. Nothing has to be well-formed, and each character is
// looked at a fixed number of times.

/**
 * A list of its texts and one of its attributes: what an attribute says tells nothing of whether a user in a text is the secret.
 * Of texts in it that are XML themselves, in CDATA or with entities, too; not of those in them.
 */
export function leavesOfXml(xml: string): Leaf[][] {
  const own = withoutFrames(xml);
  const all = [...new Set([own, undoneText(own, undoEntities)])].map((one) => one.split('<').slice(1));
  return [all.flatMap(textsOf), all.flat().flatMap(attributesOf)];
}

/** What stands in CDATA, written with entities. A comment is an element whose name is `#`. */
function withoutFrames(xml: string): string {
  const [before = '', ...framed] = xml.split('<![CDATA[');
  const written = framed.map((one) => {
    const [text = '', ...behind] = one.split(']]>');
    return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;') + behind.join(']]>');
  });
  return [before, ...written].join('').replace(/<!--|-->/g, '<#>');
}

/** `pieces`: what stands behind each `<`. */
function textsOf(pieces: readonly string[]): Leaf[] {
  return pieces.flatMap((piece, at) => {
    const end = piece.indexOf('>');
    const isOfElement = piece.slice(end + 1).trim() !== '' || pieces[at + 1]?.startsWith('/') === true;
    if (end === -1 || !isOfElement) return [];
    const name = /^(?:[^\s/>:]*:)?([^\s/>]*)/.exec(piece)?.[1] ?? '';
    // A `>` may stand in an attribute or in the text.
    const texts = [end, piece.lastIndexOf('>')].map((mark) => piece.slice(mark + 1).trim());
    return leavesNamed(name, texts);
  });
}

/** Each name is looked at from its beginning only. */
const attributes = /(?<![^\s"'])([^\s"'<>=/]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;

function attributesOf(piece: string): Leaf[] {
  return [...piece.matchAll(attributes)].flatMap(([, name = '', double, single = '']) =>
    leavesNamed(name.replace(/^.*:/, ''), [double ?? single]),
  );
}

/** Each text as it is written, and with entities undone. */
function leavesNamed(name: string, texts: readonly string[]): Leaf[] {
  const values = new Set([...texts, ...texts.map((text) => undoneText(text, undoEntities))]);
  return [...values].map((value) => ({ name, value }));
}

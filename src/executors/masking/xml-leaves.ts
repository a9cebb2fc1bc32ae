import { undoneText } from './decodings.js';
import { undoEntities } from './entities.js';
import type { Leaf } from './json-leaves.js';

// The texts of XML, each with the name of its element. Attributes are words in quotes (quoted.ts). Nothing has to be
// well-formed, and each character is looked at a fixed number of times.

/** Of texts in it that are XML themselves, in CDATA or with entities, too; not of those in them. */
export function leavesOfXml(xml: string): Leaf[] {
  const own = withoutFrames(xml);
  return [...new Set([own, undoneText(own, undoEntities)])].flatMap(textsOf);
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

/** As it is written, and with entities undone. */
function textsOf(xml: string): Leaf[] {
  const pieces = xml.split('<').slice(1);
  return pieces.flatMap((piece, at) => {
    const end = piece.indexOf('>');
    const isOfElement = piece.slice(end + 1).trim() !== '' || pieces[at + 1]?.startsWith('/') === true;
    if (end === -1 || !isOfElement) return [];
    const name = /^(?:[^\s/>:]*:)?([^\s/>]*)/.exec(piece)?.[1] ?? '';
    // A `>` may stand in an attribute or in the text.
    const texts = [end, piece.lastIndexOf('>')].map((mark) => piece.slice(mark + 1).trim());
    const values = new Set([...texts, ...texts.map((text) => undoneText(text, undoEntities))]);
    return [...values].map((value) => ({ name, value }));
  });
}

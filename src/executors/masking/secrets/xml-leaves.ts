import { undoText } from '../decoding/decodings.js';
import { undoEntities } from '../decoding/entities.js';
import type { Leaf } from './json-leaves.js';

// The texts of XML with the names of their elements, and the attributes. The XML need not be well-formed, and each character is
// looked at a fixed number of times.

/**
 * A list of the texts and a list of the attributes: they are apart, since an attribute does not tell whether a user in a text is
 * the secret. Texts that are XML themselves, in CDATA or with entities, are read too, but not XML within those.
 */
export function leavesOfXml(xml: string): Leaf[][] {
  const own = undoFrames(xml);
  const all = [...new Set([own, undoText(own, undoEntities)])].map((text) => text.split('<').slice(1));
  return [all.flatMap(textsOf), all.flat().flatMap(attributesOf)];
}

/** The XML with the text of CDATA written with entities, and with each comment as an element named `#`. */
function undoFrames(xml: string): string {
  const [before = '', ...framed] = xml.split('<![CDATA[');
  const written = framed.map((frame) => {
    const [text = '', ...behind] = frame.split(']]>');
    return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;') + behind.join(']]>');
  });
  return [before, ...written].join('').replace(/<!--|-->/g, '<#>');
}

/** `pieces`: the text behind each `<`. */
function textsOf(pieces: readonly string[]): Leaf[] {
  return pieces.flatMap((piece, at) => {
    const end = piece.indexOf('>');
    const isOfElement = piece.slice(end + 1).trim() !== '' || pieces[at + 1]?.startsWith('/') === true;
    if (end === -1 || !isOfElement) return [];
    const name = /^(?:[^\s/>:]*:)?([^\s/>]*)/.exec(piece)?.[1] ?? '';
    // A `>` may be in an attribute or in the text.
    const texts = [end, piece.lastIndexOf('>')].map((mark) => piece.slice(mark + 1).trim());
    return leavesNamed(name, texts);
  });
}

/** A name matches from its beginning only, so that no character is looked at again. */
const attributes = /(?<![^\s"'])([^\s"'<>=/]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g;

function attributesOf(piece: string): Leaf[] {
  return [...piece.matchAll(attributes)].flatMap(([, name = '', double, single = '']) =>
    leavesNamed(name.replace(/^.*:/, ''), [double ?? single]),
  );
}

/** Leaves of this name: each text as it is written, and with its entities undone. */
function leavesNamed(name: string, texts: readonly string[]): Leaf[] {
  const values = new Set([...texts, ...texts.map((text) => undoText(text, undoEntities))]);
  return [...values].map((value) => ({ name, value }));
}

/** Lines of a log as text that can be shown: colours become classes, everything else that a terminal would obey is gone. */

export interface Span {
  text: string;
  /** Names of the style: `bold`, `red`... */
  classes: string;
}

const COLOURS = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];
/** Escape sequences: CSI (`ESC [ ... m` among them), OSC and its kin up to their end, two-character ones. */
// eslint-disable-next-line no-control-regex
const SEQUENCE = /\x1b\[([0-9;:?<=>!]*)[ -/]*([@-~])|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]/g;
/** Characters that are not seen, or that change the direction of the text around them. */
// eslint-disable-next-line no-control-regex
const UNSEEN = /[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** Splits a line by its colours. */
export function spans(line: string): Span[] {
  const out: Span[] = [];
  let [from, colour, bold] = [0, '', false];
  const put = (text: string) => {
    if (text !== '') out.push({ text: visibleText(text), classes: [bold ? 'bold' : '', colour].filter(Boolean).join(' ') });
  };
  for (const match of line.replace(/\r$/, '').matchAll(SEQUENCE)) {
    put(line.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[2] === 'm') [colour, bold] = style(match[1] ?? '', colour, bold);
  }
  put(line.slice(from).replace(/\r$/, ''));
  return out;
}

function style(codes: string, colour: string, bold: boolean): [string, boolean] {
  for (const code of codes.split(/[;:]/).map(Number)) {
    if (code === 0) [colour, bold] = ['', false];
    else if (code === 1) bold = true;
    else if (code === 22) bold = false;
    else if (code === 39) colour = '';
    // The parameters of extended colours are no codes of their own.
    else if (code === 38 || code === 48) break;
    else if (code >= 30 && code <= 37) colour = COLOURS[code - 30] ?? '';
    else if (code >= 90 && code <= 97) colour = COLOURS[code - 90] ?? '';
  }
  return [colour, bold];
}

/** Text in which nothing is hidden (line feeds and tabs are what they are): control characters are shown by their pictures, others by their numbers. */
export function visibleText(text: string): string {
  return text.replace(UNSEEN, (character) => {
    const code = character.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? '\u2421' : `<U+${code.toString(16).toUpperCase().padStart(4, '0')}>`;
  });
}

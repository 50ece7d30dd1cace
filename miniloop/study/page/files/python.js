// Colours Python source: strings, comments, keywords and numbers. Not a parser; it only has to look
// right, and a line that it gets wrong is still the line.

const KEYWORDS =
  "and as assert async await break case class continue def del elif else except finally for from " +
  "global if import in is lambda match nonlocal not or pass raise return try while with yield " +
  "None True False";
const TOKEN = new RegExp(
  [
    /(?<text>[rbfuRBFU]{0,2}(?:"""[^]*?(?:"""|$(?![^]))|'''[^]*?(?:'''|$(?![^]))|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))/
      .source,
    /(?<comment>#[^\n]*)/.source,
    `(?<word>\\b(?:${KEYWORDS.split(" ").join("|")})\\b)`,
    /(?<number>\b\d[\w.]*)/.source,
    /(?<decorator>^[ \t]*@[\w.]+)/.source,
    /(?<name>(?<=\b(?:def|class)\s+)\w+)/.source,
    /(?:\w+)/.source,
  ].join("|"),
  "gm",
);

// For each line a list of [class or "", text].
export function colourLines(source) {
  const lines = [[]];
  const add = (kind, text) => {
    const parts = text.split("\n");
    parts.forEach((part, i) => {
      if (i) lines.push([]);
      if (part) lines.at(-1).push([kind, part]);
    });
  };
  let done = 0;
  for (const match of source.matchAll(TOKEN)) {
    const kind = Object.entries(match.groups).find(([, text]) => text !== undefined)?.[0];
    if (!kind) continue;
    add("", source.slice(done, match.index));
    add(kind, match[0]);
    done = match.index + match[0].length;
  }
  add("", source.slice(done));
  if (lines.length > 1 && lines.at(-1).length === 0) lines.pop();
  return lines;
}

"""Inside SVG and MathML: where markup means something else.

Between ``<svg>`` and ``</svg>`` (or ``<math>``), ``<title>`` and ``<style>`` hold markup, ``/>``
closes an element, ``<![CDATA[`` begins text, and ``<base>`` is not HTML's. Inside some elements,
the *integration points* such as ``<foreignObject>``, it is HTML again. Some of HTML's own elements
end the foreign content around them (HTML standard, "The rules for parsing tokens in foreign
content").

This keeps the names of the open foreign elements and no others, so it must guess where a tree would
know: the end tag of an integration point is obeyed even where HTML elements are still open in it,
and one that HTML alone knows (``</div>``) is taken to end an element around the foreign content.
"""

# Start tags that end foreign content.
_BREAKOUT = frozenset(
    b"b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li"
    b" listing menu meta nobr ol p pre ruby s small span strong strike sub sup table tt u ul"
    b" var".split()
)
# End tags that have no start in foreign content: what they end is around it, and so it ends too.
_HTML_ENDS = _BREAKOUT | frozenset(
    b"a article aside body button footer form header html label main nav section tbody td template"
    b" th tr".split()
)
_FONT_ATTRIBUTES = frozenset({b"color", b"face", b"size"})
_SVG_INTEGRATION = frozenset({b"foreignobject", b"desc", b"title"})
_MATHML_INTEGRATION = frozenset({b"mi", b"mo", b"mn", b"ms", b"mtext"})
_HTML_ENCODINGS = frozenset({b"text/html", b"application/xhtml+xml"})

# What is noted of an open element: whether it is SVG's, and whether HTML may follow inside.
_SVG, _INTEGRATION = 1, 2

# Elements deeper than this count as closed at once; browsers are satisfied with 512.
_DEEPEST = 4096

# What this wants to see of a tag's attributes.
ATTRIBUTES = _FONT_ATTRIBUTES | {b"encoding"}
# The end tags that may lead from HTML back into the foreign content around it.
CLOSING = frozenset({b"svg", b"math", b"annotation-xml"}) | _SVG_INTEGRATION | _MATHML_INTEGRATION


class ForeignContent:
    """The open elements of SVG and MathML.

    ``inside`` says whether the next tag is one of them; otherwise it is HTML's.
    """

    __slots__ = ("_count", "_kinds", "_open", "_xml", "inside")

    def __init__(self, *, xml: bool) -> None:
        self._open: list[bytes] = []
        self._kinds: list[int] = []  # of each open element, what is noted of it
        self._count: dict[bytes, int] = {}
        self._xml = xml
        self.inside = False

    def __bool__(self) -> bool:
        return bool(self._open)

    def start(self, name: bytes, attributes: dict[bytes, bytes], *, closed: bool) -> bool:
        """Take a start tag, ``closed`` by ``/>`` or not; True if it is foreign, False if HTML's."""
        if not self.inside:
            svg = name == b"svg"
            if not svg and name != b"math":
                return False
        else:
            if not self._xml and (
                name in _BREAKOUT or (name == b"font" and _FONT_ATTRIBUTES & attributes.keys())
            ):
                self._break_out()
                return False
            svg = bool(self._kinds[-1] & _SVG) or (
                name == b"svg" and self._open[-1] == b"annotation-xml"
            )
        if not closed and len(self._open) < _DEEPEST:
            integration = _is_integration(name, attributes, svg=svg)
            self._open.append(name)
            self._kinds.append(_SVG * svg | _INTEGRATION * integration)
            self._count[name] = self._count.get(name, 0) + 1
            self.inside = not integration
        return True

    def end(self, name: bytes) -> None:
        """Take an end tag."""
        # Names are counted, so that an end tag without a start costs nothing, however deep we are.
        if self._count.get(name):
            while self._pop() != name:
                pass
            self.inside = bool(self._open) and not self._kinds[-1] & _INTEGRATION
        elif self.inside and not self._xml and name in _HTML_ENDS:
            self._break_out()

    def _break_out(self) -> None:
        while self._open and not self._kinds[-1] & _INTEGRATION:
            self._pop()
        self.inside = False

    def _pop(self) -> bytes:
        self._kinds.pop()
        name = self._open.pop()
        self._count[name] -= 1
        return name


def _is_integration(name: bytes, attributes: dict[bytes, bytes], *, svg: bool) -> bool:
    if svg:
        return name in _SVG_INTEGRATION
    if name == b"annotation-xml":
        return attributes.get(b"encoding", b"").lower() in _HTML_ENCODINGS
    return name in _MATHML_INTEGRATION

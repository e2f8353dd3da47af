"""Mends one JSON value, token by token: what is valid is kept as it is, the rest is replaced by valid JSON.

Each defect is counted by its kind. The work is linear in the length of the value.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

Defects = Counter[str]
"""How often each kind of defect was found."""

CUT_OFF = "file ends in mid-event"
QUOTE = "unescaped quote in a string"
BACKSLASH = "unescaped backslash in a string"
RAW_NEWLINE = "raw newline in a string"
CONTROL_BYTE = "control byte in a string"
TRAILING_COMMA = "trailing comma"
NOT_JSON = "value that is not JSON, such as inf or nan"
_NEAR_END = 1 << 16  # bytes: what follows a quote is judged only if so much text follows it, or the file ends
# The repetitions are bounded: each one takes memory while a pattern is matched.
_STRING = rb'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})[^"\\\x00-\x1f]*){0,999}"'
_ANY_STRING = rb'"[^"\\]*(?:\\.[^"\\]*){0,999}"'
_NUMBER = rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_SPACES = b" \t\r\n"
_S = rb"[%b]*" % _SPACES


def _value_pattern(depth: int) -> bytes:
    """Return the pattern of a valid string, number or literal, or of an array of those of up to ``depth`` levels."""
    scalar = rb"%b|%b|true|false|null" % (_STRING, _NUMBER)
    if not depth:
        return rb"(?:%b)" % scalar
    inner = _value_pattern(depth - 1)
    return rb"(?:%b|\[%b(?:%b(?:%b,%b%b){0,999})?%b\])" % (scalar, _S, inner, _S, _S, inner, _S)


# Members and elements that are valid are skipped many at a time, with the comma behind them. Shapes have three levels.
_VALUE = _value_pattern(3)
_MEMBERS = re.compile(
    rb"(?:%b%b%b:%b%b%b(?:,(?=%b%b%b:)|(?=\}))){1,64}" % (_S, _STRING, _S, _S, _VALUE, _S, _S, _ANY_STRING, _S),
    re.DOTALL,
)
_NEXT_ELEMENT = rb"(?=%b(?:[\[{\"\-0-9]|true|false|null))" % _S
_ELEMENTS = re.compile(rb"(?:%b%b%b(?:,%b|(?=\]))){1,64}" % (_S, _VALUE, _S, _NEXT_ELEMENT))
_SPACE = re.compile(_S)
_BARE = re.compile(rb'[^ \t\r\n,:{}\[\]"]*')
_VALID_BARE = re.compile(rb"%b|true|false|null" % _NUMBER)
_SCALARS = re.compile(rb'[^":\[\]{}]{1,65536}')  # elements without strings and brackets
_VALID_ELEMENT = re.compile(rb"%b(?:%b|true|false|null)%b" % (_S, _NUMBER, _S))
_ONE_ELEMENT = re.compile(rb"%b[^ \t\r\n]+%b" % (_S, _S))
_NEEDLESS_COMMA = re.compile(rb"%b[}\],]" % _S)
_IN_STRING = re.compile(rb'["\\\x00-\x1f]')
_ESCAPE = re.compile(rb'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_SURROGATES = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_HALF_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_AFTER_KEY = re.compile(rb"%b:" % _S)
_AFTER_MEMBER = re.compile(rb"%b(?:\}|,%b(?:\}|%b%b:))" % (_S, _S, _ANY_STRING, _S), re.DOTALL)
_AFTER_ELEMENT = re.compile(
    rb'%b(?:\]|,%b(?:[\]"\[{\-0-9]|true|false|null|(?i:nan|inf|infinity)%b[,\]]))' % (_S, _S, _S)
)
# A string that contains a key of the event itself was not closed, or a bracket is missing.
_OWN_KEY = re.compile(rb'"(?:ph|name|cat|pid|tid|ts|dur|args)"%b:' % _S)
_CLOSING = {ord("{"): ord("}"), ord("["): ord("]")}
_REPLACEMENT = "\ufffd".encode()


def as_utf8(text: bytes, defects: Defects) -> bytes:
    """Return a text as valid UTF-8."""
    if text.isascii():
        return text
    valid = text.decode("utf-8", "replace").encode()
    if replaced := valid.count(_REPLACEMENT) - text.count(_REPLACEMENT):
        defects["invalid UTF-8"] += replaced
    return valid


class BrokenError(Exception):
    """The brackets of the value do not match, or it is no JSON for another reason that cannot be mended."""


class UnfinishedError(Exception):
    """The text ends within the value. ``complete`` is, for the rest of an object, its complete members, closed."""

    def __init__(self, complete: bytes = b"}") -> None:
        super().__init__()
        self.complete = complete


def _no_event(_begin: int, _end: int) -> bool:
    return False


class Mender:
    """One pass over a text from ``at`` on, which ends with the file if ``ended``.

    ``holds_event`` tells whether an event begins between two positions. A string that would contain the beginning of an
    event, or a key of this one, was never closed: the value is broken.
    """

    def __init__(
        self, text: bytes, at: int, *, ended: bool, holds_event: Callable[[int, int], bool] = _no_event
    ) -> None:
        self.defects: Defects = Counter()
        self.at = at
        self._text = text
        self._ended = ended
        self._holds_event = holds_event
        self._open: list[int] = []
        self._out = bytearray()
        self._copied = at
        self._tried = at  # up to where elements were mended many at a time, or cannot be
        self._whole = (0, at, at)  # after the last complete member: length of the output, text copied, end in the text

    def value(self) -> bytes:
        """Return the value as strict JSON; ``at`` is then where it ends. Raises BrokenError or UnfinishedError."""
        self._value()
        return self._rest()

    def rest_of_object(self) -> bytes:
        """Return what follows a member of an object, up to its closing brace, as :meth:`value` does."""
        self._open.append(ord("{"))
        self._after_value()
        return self._rest()

    def _rest(self) -> bytes:
        while self._open:
            if self._open[-1] == ord("{"):
                self._member()
            else:
                self._element()
        self._out += self._text[self._copied : self.at]
        return bytes(self._out)

    def _member(self) -> None:
        if match := _MEMBERS.match(self._text, self.at):
            self.at = match.end()
            if len(self._open) == 1 and self._text[self.at - 1] == ord(","):
                self._whole = (len(self._out), self._copied, self.at - 1)
        byte = self._next()
        if byte == ord("}"):  # of an empty object, or behind members that are valid
            self._close()
        elif byte == ord(","):
            self._drop_comma()
        elif byte != ord('"'):
            raise BrokenError
        else:
            self._string(_AFTER_KEY)
            self._next()
            self.at += 1  # the colon
            self._value()

    def _element(self) -> None:
        if match := _ELEMENTS.match(self._text, self.at):
            self.at = match.end()
        byte = self._next()
        if byte == ord("]"):
            self._close()
        elif byte == ord(","):
            self._drop_comma()
        else:
            self._value()

    def _value(self) -> None:
        byte = self._next()
        if byte in _CLOSING:
            self._open.append(byte)
            self.at += 1
            return
        if byte == ord('"'):
            self._string(_AFTER_MEMBER if self._open[-1:] == [ord("{")] else _AFTER_ELEMENT)
        else:
            self._bare(byte)
        self._after_value()

    def _bare(self, byte: int) -> None:
        """Keep a number or literal; anything else becomes null."""
        match = _BARE.match(self._text, self.at)
        end = self.at if match is None else match.end()
        if end == len(self._text):
            raise self._unfinished()
        token = self._text[self.at : end]
        if not _VALID_BARE.fullmatch(token):
            if not token and (byte not in b",}" or self._open[-1:] != [ord("{")]):
                raise BrokenError
            if self._open[-1:] == [ord("[")] and self._mend_elements():
                return
            self._replace(self.at, end, b"null", NOT_JSON)
        self.at = end

    def _mend_elements(self) -> bool:
        """Mend the numbers and words from here on, many at a time; whether that was possible.

        The last one, and those that have no comma between them, are left to the way that takes one at a time.
        """
        if self.at < self._tried:
            return False
        match = _SCALARS.match(self._text, self.at)
        self._tried = self.at if match is None else match.end()
        end = self._text.rfind(b",", self.at, self._tried)
        if end < 0:
            return False
        elements = self._text[self.at : end].split(b",")
        wrong = [element for element in set(elements) if not _VALID_ELEMENT.fullmatch(element)]
        if not all(map(_ONE_ELEMENT.fullmatch, wrong)):
            return False
        mended = {element: element.replace(element.strip(_SPACES), b"null") for element in wrong}
        count = sum(map(mended.__contains__, elements))
        self._replace(self.at, end, b",".join(map(mended.get, elements, elements)), NOT_JSON, count)
        self.at = end
        return True

    def _after_value(self) -> None:
        """Go on to the next member or element, over the brackets that close behind a value."""
        while self._open:
            byte = self._next()
            if byte == ord(","):
                if _NEEDLESS_COMMA.match(self._text, self.at + 1):
                    self._drop_comma()
                    continue
                if len(self._open) == 1:
                    self._whole = (len(self._out), self._copied, self.at)
                self.at += 1
                return
            self._pop(byte)

    def _close(self) -> None:
        """Close an empty object or array."""
        self._pop(self._text[self.at])
        self._after_value()

    def _pop(self, byte: int) -> None:
        if _CLOSING[self._open[-1]] != byte:
            raise BrokenError
        self._open.pop()
        self.at += 1

    def _drop_comma(self) -> None:
        self._replace(self.at, self.at + 1, b"", TRAILING_COMMA)
        self.at += 1

    def _next(self) -> int:
        """Skip white space and return the next byte."""
        match = _SPACE.match(self._text, self.at)
        self.at = self.at if match is None else match.end()
        if self.at == len(self._text):
            raise self._unfinished()
        return self._text[self.at]

    def _unfinished(self) -> UnfinishedError:
        if not self._ended:
            return UnfinishedError()
        length, copied, end = self._whole
        return UnfinishedError(b"%b%b}" % (bytes(self._out[:length]), self._text[copied:end]))

    def _replace(self, begin: int, end: int, new: bytes, defect: str, count: int = 1) -> None:
        self._out += self._text[self._copied : begin]
        self._out += new
        self._copied = end
        self.defects[defect] += count

    def _string(self, follows: re.Pattern[bytes]) -> None:
        """Keep or mend the string that begins here: it ends at a quote that ``follows`` matches behind."""
        text, begin = self._text, self.at
        at, length = begin + 1, len(self._out)
        while (stop := _IN_STRING.search(text, at)) is not None:
            where, at = stop.span()
            if not self._ended and len(text) - at < _NEAR_END:
                break
            if text[where] == ord('"'):
                if follows.match(text, at):
                    if len(self._out) > length and (
                        _OWN_KEY.search(text, begin + 1, where) or self._holds_event(begin, where)
                    ):
                        raise BrokenError
                    self.at = at
                    return
                self._replace(where, at, b'\\"', QUOTE)
            elif text[where] == ord("\\"):
                at = self._escape(where)
            else:
                kind = RAW_NEWLINE if text[where] in b"\r\n" else CONTROL_BYTE
                self._replace(where, at, b"\\u%04x" % text[where], kind)
        raise self._unfinished()

    def _escape(self, where: int) -> int:
        """Keep or mend the escape sequence at a backslash; return where it ends."""
        match = _SURROGATES.match(self._text, where) or _ESCAPE.match(self._text, where)
        if match is None:
            self._replace(where, where + 1, b"\\\\", BACKSLASH)
            return where + 1
        if match.end() - where < 12 and _HALF_SURROGATE.fullmatch(match[0]):
            self._replace(where, match.end(), b"\\ufffd", "half of a surrogate pair in a string")
        return match.end()

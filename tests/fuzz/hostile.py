"""Values that break careless programs. Every text that must never be markup contains ``fuzz``."""

from __future__ import annotations

import random

from tests.fuzz.json_text import Raw

MARK = "fuzz"
LONGEST = 2_000_000  # characters of a long text: a few of them are a few MB

MARKUP = (
    "<fuzz onload=fuzz>",
    "</script><fuzz>",
    "</style></title></textarea><fuzz>",
    "<!--fuzz",
    "]]><fuzz>",
    '\'"><fuzz autofocus onfocus=fuzz x="',
    "&lt;fuzz&gt;",
    "<a href=javascript:fuzz>fuzz</a>",
    "{{ fuzz }}{% fuzz %}",
    "[fuzz](javascript:fuzz)",
    "![fuzz](https://fuzz)",
    "|fuzz|fuzz|\n|---|---|",
    "`fuzz` *fuzz* ~~fuzz~~ $fuzz$",
)
FORMULAS = ("=1+1", "+1+1", "-2+3", "@SUM(A1)", "\t=1+1", "\r=1+1", "=fuzz|'/C calc'!A0", "a;=1+1", 'a",=1+1,"b')
UNICODE = (
    "\x00",
    "a\x00b",
    "\x1b[31mred\x1b[0m\x07",
    "\x1b]0;title\x07",
    "\u009b31m",
    "\u202egnp.exe",
    "\u2066a\u2069",
    "\u200b\u200e\ufeff",
    "e\u0301\u0301\u0301",
    "\U0001d518\U0001f468\u200d\U0001f469",
    "\ud800",
    "\udfff\ud800",
    "a\r\nb\nc",
    "\u2028\u2029\x85\x0b\x0c",
    "\uffff\ufffe",
    "Straße İ ı ﬁ",
)
ODD = (
    "",
    " ",
    "NaN",
    "0",
    "null",
    "../../fuzz",
    "%s%n{0}{}",
    "\\",
    '"',
    "ProfilerStep#",
    "ProfilerStep#1",
    "nn.Module: ",
    "nn.Module: Fuzz_0",
    "profkit.forward",
    "forward",
    "aten::add",
    "CPU functions",
)
# of a number in JSON; those at the end are no JSON
NUMBERS = (
    "0",
    "-0",
    "-0.0",
    "1",
    "-1",
    "0.5",
    "1e3",
    "1E+2",
    "1e-9",
    "0.0005",
    "0.4999999",
    "123.456789012345",
    "999999999999.9999",
    "2147483648",
    "-2147483649",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "1e15",
    "1e18",
    "1e22",
    "-1e30",
    "1e308",
)
ABSURD = (
    "1e309",
    "-1e400",
    "1e99999999999",
    "9" * 5000,
    "-" + "9" * 5000,
    "0." + "1" * 5000,
    "1" + "0" * 400,
    "NaN",
    "Infinity",
    "-Infinity",
    "-nan(ind)",
    "01",
    "+1",
    ".5",
    "1.",
    "1_000",
    "0x10",
    "--1",
    "1e",
    "٣",
)
DEPTHS = (5, 50, 500, 3_000, 100_000)


def text(chance: random.Random) -> str:
    """Return a hostile text; one in twenty is long."""
    if chance.random() < 0.05:
        return chance.choice((MARK, "<fuzz>", "\u202e", "a\n", "é")) * chance.choice((200, 20_000, LONGEST // 8))
    found = chance.choice(chance.choice((MARKUP, FORMULAS, UNICODE, ODD)))
    return found if chance.random() < 0.7 else f"aten::{found}"


def number(chance: random.Random) -> Raw:
    """Return the text of a number; one in four is beyond every type, or is not JSON."""
    return Raw(chance.choice(ABSURD if chance.random() < 0.25 else NUMBERS))


def nested(chance: random.Random) -> Raw:
    """Return brackets inside brackets."""
    depth = chance.choice(DEPTHS)
    opening, closing = chance.choice((("[", "]"), ('{"a":', "}"), ('[{"args":', "}]")))
    return Raw(opening * depth + "1" + closing * depth)


def value(chance: random.Random) -> object:
    """Return a value of any type."""
    match chance.randrange(8):
        case 0:
            return None
        case 1:
            return chance.random() < 0.5
        case 2:
            return []
        case 3:
            return {}
        case 4:
            return [number(chance), None, [text(chance)]]
        case 5:
            return text(chance)
        case 6:
            return str(number(chance))
        case _:
            return nested(chance) if chance.random() < 0.3 else number(chance)

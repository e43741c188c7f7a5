"""Makes matplotlib's SVG pictures small: a report holds dozens, and each letter in them is an element."""

import re
from collections.abc import Iterator
from itertools import count
from string import ascii_letters

LEFT_OUT = re.compile(r"<!--.*?-->|<!DOCTYPE.*?>|<metadata>.*?</metadata>", re.DOTALL)
BREAK = re.compile(r"\s*\n\s*")
MOVED = re.compile(r' transform="translate\((\S+) 0\)"')
COORDINATES = re.compile(r' (?:d|x|y|width|height)="[^"]*"|translate\([^)]*\)')
NUMBER = re.compile(r"-?\d+\.\d{3,}")
COMMAND = re.compile(r" ?([A-Za-z]) ?")
REFERENCE = re.compile(r'(?<=href="#)[^"]+|(?<=url\(#)[^)]+')


def compact(svg: str) -> str:
    """The same picture in half the characters.

    Comments, indentation and identifiers that nothing refers to go; a letter is placed by its `x`; coordinates keep two
    decimals of a point.
    """
    svg = BREAK.sub(" ", LEFT_OUT.sub("", svg)).replace("> <", "><").replace("base64, ", "base64,")
    svg = svg.replace("xlink:href=", "href=").replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "")
    svg = re.sub(r"<use [^>]*>", lambda use: MOVED.sub(r' x="\1"', use[0]), svg)
    svg = COORDINATES.sub(lambda found: NUMBER.sub(rounded, found[0]), svg)
    svg = re.sub(r' d="[^"]*"', lambda path: " " + COMMAND.sub(r"\1", path[0]).lstrip(), svg)
    svg = re.sub(r' style="[^"]*"', lambda style: style[0].replace(": ", ":").replace("; ", ";"), svg)
    return renamed(svg)


def rounded(number: re.Match[str]) -> str:
    """ "165.726113" -> "165.73"."""
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def renamed(svg: str) -> str:
    """The picture with short identifiers, and none that nothing refers to."""
    names = dict(zip(dict.fromkeys(REFERENCE.findall(svg)), short_names(), strict=False))
    svg = re.sub(r' id="([^"]+)"', lambda found: f' id="{names[found[1]]}"' if found[1] in names else "", svg)
    return REFERENCE.sub(lambda found: names[found[0]], svg)


def short_names() -> Iterator[str]:
    """a, b, ..., Z, ba, bb, ...: without end."""
    for number in count():
        name = ""
        while True:
            number, digit = divmod(number, len(ascii_letters))
            name = ascii_letters[digit] + name
            if not number:
                break
        yield name

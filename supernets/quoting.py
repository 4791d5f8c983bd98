"""Text of others, in what is said to people: as long as helps, and without a sign that a terminal would obey.

What a file, a plug-in, a server or the command line says may be megabytes, and may hold escape sequences. Errors cut it
(``shortened``), and the command line shows it where it prints (``visible``). Between the two it is what it is.
"""

from __future__ import annotations

import re
import unicodedata

# How much of a foreign value a message quotes, and how long a message is at most.
LONGEST = 200
_MESSAGE = 1000
_CUT = "..."

# What repr() makes of a text, and what has no space in it: a path, a number, a value of JSON.
_MORE = f"{{{LONGEST},}}"
_QUOTED = re.compile(rf"""(?<!\w)(?:'(?:[^'\\]|\\.){_MORE}'|"(?:[^"\\]|\\.){_MORE}")""", re.DOTALL)
_UNBROKEN = re.compile(rf"\S{_MORE}")

# A URL's user:password@, and password=, passwd=, PGPASSWORD= as settings are written.
# One slash too: a path takes two for one.
_LOGIN = re.compile(r"((?://|:/)[^\s:/@]*:)\S*@")
_SETTING = re.compile(
    r"""((?:pass(?:word|wd|phrase|wort)?|pwd) ?= ?)(?!\*\*\*)(?:'[^']*'?|"[^"]*"?|[^\s'",;&)]+)""", re.IGNORECASE
)


def shortened(text: str, longest: int = LONGEST) -> str:
    """Return a foreign text without its middle where it is longer than ``longest`` characters."""
    if len(text) <= longest:
        return text
    tail = longest // 4
    return f"{text[: longest - tail - len(_CUT)]}{_CUT}{text[-tail:]}"


def shortened_message(message: str) -> str:
    """Return a message in which every value that it quotes is at most ``LONGEST`` characters long, or little more.

    What looks like a password is left out, see ``discreet``.
    """
    # Of a message of megabytes nobody sees the middle; it is not searched either.
    message = discreet(shortened(message, 20 * _MESSAGE))
    if len(message) <= LONGEST:
        return message
    for foreign in (_QUOTED, _UNBROKEN):
        message = foreign.sub(lambda found: shortened(found[0]), message)
    return shortened(message, _MESSAGE)


def discreet(text: str) -> str:
    """Return a text without what looks like a password in it: of a URL, of a connection's settings, of a variable."""
    if "@" not in text and "=" not in text:
        return text
    return _SETTING.sub(r"\1***", _LOGIN.sub(r"\1***@", text))


def visible(text: str) -> str:
    r"""Return a text as a terminal may be given it: control, formatting and half characters as ``\x1b``, ``\u202e``.

    Lines and tabs stay. So do spaces of all widths, which Python does not count as printable.
    """
    if text.isprintable():
        return text
    return "".join(char if _harmless(char) else char.encode("unicode_escape").decode() for char in text)


def _harmless(char: str) -> bool:
    return char.isprintable() or char in "\n\t" or unicodedata.category(char) == "Zs"

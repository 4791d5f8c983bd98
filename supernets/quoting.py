"""Shorten foreign text in messages, hide passwords in it, and make control characters visible.

Text from a file, a plug-in, a server or the command line may be megabytes long and contain escape sequences of
terminals. Errors shorten it (``shortened``), and the command line escapes it when it prints (``visible``).
"""

from __future__ import annotations

import re
import unicodedata

# How many characters of a foreign value a message quotes, and how long a message is at most.
LONGEST = 200
_MESSAGE = 1000
_CUT = "..."

# A text as repr() quotes it, or a word without spaces: a path, a number, a value of JSON.
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
    """Return a foreign text, without its middle if it is longer than ``longest`` characters."""
    if len(text) <= longest:
        return text
    tail = longest // 4
    return f"{text[: longest - tail - len(_CUT)]}{_CUT}{text[-tail:]}"


def shortened_message(message: str) -> str:
    """Return a message whose quoted values have at most about ``LONGEST`` characters each.

    Passwords are removed, see ``discreet``.
    """
    # The middle of a message of megabytes is cut anyway, so it is not searched.
    message = discreet(shortened(message, 20 * _MESSAGE))
    if len(message) <= LONGEST:
        return message
    for foreign in (_QUOTED, _UNBROKEN):
        message = foreign.sub(lambda found: shortened(found[0]), message)
    return shortened(message, _MESSAGE)


def discreet(text: str) -> str:
    """Return a text without what looks like a password in a URL, in connection settings, or in a variable."""
    if "@" not in text and "=" not in text:
        return text
    return _SETTING.sub(r"\1***", _LOGIN.sub(r"\1***@", text))


def visible(text: str) -> str:
    r"""Return a text that is safe to print: control, formatting and half characters as ``\x1b``, ``\u202e``.

    Line ends, tabs and spaces of all widths are left as they are.
    """
    if text.isprintable():
        return text
    return "".join(char if _harmless(char) else char.encode("unicode_escape").decode() for char in text)


def _harmless(char: str) -> bool:
    return char.isprintable() or char in "\n\t" or unicodedata.category(char) == "Zs"

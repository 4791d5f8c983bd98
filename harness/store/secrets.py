"""Remove passwords, in all spellings, from a store's URL before it appears in messages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from hwnas.supernets.errors import StoreError

if TYPE_CHECKING:
    import sqlalchemy as sa

HIDDEN = "***"
# Settings of libpq that are not secret. All others are hidden, so that a mistyped "pasword" is, too.
# https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
_NAMES = """
host hostaddr port dbname user service application_name connect_timeout client_encoding options sslmode sslrootcert
sslcert sslkey sslcrl ssl_min_protocol_version gssencmode channel_binding keepalives keepalives_idle
keepalives_interval keepalives_count tcp_user_timeout target_session_attrs load_balance_hosts
"""
_OPEN = frozenset(_NAMES.split())
# libpq's other spelling, "host=... password=...", and a URL without its "//".
_NO_PATH = re.compile(
    # Each part takes all that it can at once (++): otherwise the time grows as the square of a text's length.
    r"(?:^|\s)(?:host|hostaddr|user|dbname|service|pwd|(?=\w*pass)\w++)\s*+="
    r"|^postgres\w*+(?:\+\w++)?:|^[^/\s][^/\s:]*+:[^@]*+@",
    re.IGNORECASE,
)


def check_path(location: str, expected: str) -> None:
    """Raise ``StoreError`` if a text looks like a connection with a password, and not like a path."""
    if _NO_PATH.search(location):
        raise StoreError(f"the store: {expected}; a file whose name looks like a connection is written ./NAME")


def check_url(location: str, url: sa.URL) -> None:
    """Raise ``StoreError`` if a user's name or password has an @ that is not escaped, so that it ends too early."""
    rest = location.partition("://")[2]
    after = rest.partition("@")[2] if url.username is not None else rest
    address, _, query = after.partition("?")
    if "@" in address or ("@" in query and not url.query.keys() <= _OPEN):
        raise StoreError(
            f"the store {url.get_backend_name()}://{HIDDEN}: has an @ too many: in a user's name or a password write "
            "@ as %40, / as %2F, # as %23, ? as %3F; better, put the password into ~/.pgpass"
        )


def shown(url: sa.URL) -> str:
    """Return a URL of PostgreSQL for messages, without its password and other settings that may be secret."""
    hidden = {
        key: HIDDEN for key, value in url.query.items() if key not in _OPEN or any("=" in one for one in _values(value))
    }
    user, colon, _ = (url.username or "").partition(":")
    database = url.database if "=" not in (url.database or "") else HIDDEN  # libpq reads that as settings
    url = url.set(username=user + (":" + HIDDEN if colon else "") or None, database=database)
    return url.update_query_dict(hidden).render_as_string(hide_password=True).replace(quote_plus(HIDDEN), HIDDEN)


def without(text: str, url: sa.URL) -> str:
    """Return a message of a database or driver, without the secrets of a URL."""
    for secret in sorted(set(_secrets(url)), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return text


def _secrets(url: sa.URL) -> Iterator[str]:
    settings = [one for key, value in url.query.items() if key not in _OPEN for one in _values(value)]
    for secret in (url.password, *settings):
        if secret:
            yield from (secret, quote(secret), quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1])


def _values(value: str | Sequence[str]) -> Sequence[str]:
    return (value,) if isinstance(value, str) else value

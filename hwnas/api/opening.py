"""Open what is given by name: super-networks and stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from hwnas.harness.store import Store
    from hwnas.supernets.supernet import SuperNetwork

# Where measurements and studies are stored: a file's path, a database's URL, an open store, or nowhere.
StoreLike: TypeAlias = "Store | str | Path | Literal[False] | None"


def network(net: SuperNetwork | str) -> SuperNetwork:
    """Return a super-network that is given by itself or by name.

    Raises:
        UnknownNameError: no such super-network; the message suggests the nearest.
        UsageError: it is something else.
    """
    from hwnas import supernets
    from hwnas.supernets.errors import UsageError
    from hwnas.supernets.names import check_name

    if isinstance(net, str):
        return supernets.get(net)
    if not hasattr(net, "space"):
        raise UsageError(f"net: expected a super-network or the name of one, got a {type(net).__name__}")
    check_name("super-network", net.name)
    return net


@contextmanager
def opened(store: StoreLike, *, create: bool = True) -> Iterator[Store | None]:
    """Yield an open store, or ``None`` where nothing is stored; what was opened here is closed.

    Raises:
        StoreError: the store cannot be opened.
        UsageError: it is something else than a path, a URL or a store.
    """
    from hwnas.harness.store import Store
    from hwnas.supernets.errors import UsageError

    if store is None or store is False:
        yield None
    elif isinstance(store, str | Path):
        with Store.open(str(store), create=create) as found:
            yield found
    elif isinstance(store, Store):
        yield store
    else:
        raise UsageError(
            f"store: expected a file's path, a database's URL, or None for no store, got a {type(store).__name__}"
        )

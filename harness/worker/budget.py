"""How many networks a worker prepares side by side, and how often each: as many as the memory that is left allows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from hwnas.harness.host import huge_pages
from hwnas.harness.host.data_limit import at_most, peak_bytes, resident_bytes, restart_peak

# When less than this share of a limit is left, no further network is prepared before the prepared ones are measured.
_SHARE_LEFT = 0.15
# The last bytes of a limit are for what the process does beside: messages, a thread's stack, other processes.
_MARGIN_SHARE, _MARGIN = 0.05, 256 << 20
# Before any network is prepared: a runtime keeps its own copy of the weights, beside the module's and the graph's
# (seen: torch 2, ONNX Runtime 3, OpenVINO 4 times the weights). It takes more while it prepares (2, 5 and 5 times).
_KEPT, _TAKEN = 4, 6
# With fewer bytes of weights than these, what a network takes says nothing of how it grows with them.
_TELLING = 1 << 20
# Rather than prepare a network several times, so many are prepared side by side.
_SIDE_BY_SIDE = 8
_GIB = 1 << 30
_HELP = "allow more memory, or take a smaller batch or network"
# What torch, Python, C++, ONNX Runtime and protobuf say when an allocation fails.
_SHORT = re.compile(
    r"(can't|cannot|could not|failed to|unable to) (allocate|serialize proto)|bad_alloc|out of memory", re.IGNORECASE
)

Limits = Callable[[], Iterable[tuple[str, int, int]]]


@dataclass(frozen=True)
class Left:
    """What is left of the tightest limit on this process's memory.

    Attributes:
        name: of the limit ("the control group's memory").
        bytes: that are left of it.
        limit: in bytes.
    """

    name: str
    bytes: int
    limit: int

    @property
    def usable(self) -> int:
        """The bytes that one network may take."""
        return max(0, self.bytes - min(_MARGIN, int(_MARGIN_SHARE * self.limit)))

    @property
    def to_share(self) -> int:
        """The bytes that networks side by side may take."""
        return max(0, self.bytes - int(_SHARE_LEFT * self.limit))

    def __str__(self) -> str:
        return f"{self.bytes / _GIB:.2f} GiB are left of {self.name} ({self.limit / _GIB:.2f} GiB)"


@dataclass(frozen=True)
class Footprint:
    """The memory of a network's preparation, bytes.

    Attributes:
        weights: of its parameters.
        kept: how much the process had grown when it was prepared.
        taken: how much it had grown at its largest, while preparing.
    """

    weights: int
    kept: int
    taken: int


class Budget:
    """Plans with the memory that is left, and with what the networks before have taken.

    Args:
        limits: yields each limit on this process's memory: its name, the bytes left, and the limit.
    """

    def __init__(self, limits: Limits = huge_pages.limits) -> None:
        self._limits = limits
        # The first preparation loads the runtime: what it takes is no network's, and counts until there is another.
        self._known: list[Footprint] = []

    def left(self) -> Left | None:
        """Return what is left of the tightest limit; ``None``: the system does not say."""
        found = (Left(*one) for one in self._limits() if one[2])
        return min(found, key=lambda left: left.usable, default=None)

    def sessions(self, weights: Sequence[int], wanted: int, share: float = 1.0) -> int:
        """Return how often to prepare each network: ``wanted``, halved until some networks side by side fit.

        Args:
            weights: of the networks that are to be prepared, bytes.
            wanted: a power of 2.
            share: of what is left.
        """
        left = self.left()
        while left is not None and wanted > 1:
            if wanted * sum(map(self.kept, weights[:_SIDE_BY_SIDE])) <= share * left.to_share:
                break
            wanted //= 2
        return wanted

    def has_room(self, weights: int, taken: int, sessions: int) -> bool:
        """Return whether one more network fits beside those of a batch.

        Args:
            weights: of the network, bytes.
            taken: bytes that those before have taken, each prepared once.
            sessions: how often each is to be prepared.
        """
        left = self.left()
        return left is None or left.to_share - (sessions - 1) * taken > (self._need(weights) if self._known else 0)

    def refusal(self, weights: int) -> str | None:
        """Return why a network with so many bytes of weights cannot be prepared now, or ``None``."""
        left, need = self.left(), self._need(weights)
        if left is None or need <= left.usable:
            return None
        more = f", preparing it some {need / _GIB:.2f} GiB" if need > weights else ""
        return f"it does not fit: its weights take {weights / _GIB:.2f} GiB{more}, and {left}; {_HELP}"

    def ran_out(self, weights: int, reason: str) -> str:
        """Return the reason of a network whose preparation ran out of memory, given what the library said."""
        left = self.left()
        now = f", and {left}" if left else ""
        return f"it does not fit: its weights take {weights / _GIB:.2f} GiB, preparing it more{now}; {_HELP} ({reason})"

    def guarded(self) -> AbstractContextManager[None]:
        """Return a context manager in which allocations fail that would use up the memory."""
        left = self.left()
        return at_most(None if left is None else left.usable)

    @contextmanager
    def noting(self, weights: int) -> Iterator[None]:
        """Learn what preparing a network in this ``with`` block takes, unless it fails."""
        restart_peak()
        before = resident_bytes()
        yield
        peak, after = peak_bytes(), resident_bytes()
        self.note(Footprint(weights, max(0, after - before), max(0, peak - before)))

    def note(self, footprint: Footprint) -> None:
        """Learn what preparing a network has taken."""
        self._known.append(footprint)

    def kept(self, weights: int) -> int:
        """Return the bytes that a prepared network with so many bytes of weights is expected to take."""
        near = self._nearest(weights)
        return _KEPT * weights if near is None else _grown(near.kept, near, weights, _KEPT)

    def _need(self, weights: int) -> int:
        """Return the bytes that preparing a network takes at least, as far as that is known."""
        near = self._nearest(weights)
        if near is None:
            return weights
        need = _grown(near.taken, near, weights, _TAKEN)
        return max(weights, need if len(self._known) > 1 else min(need, _TAKEN * weights))

    def _nearest(self, weights: int) -> Footprint | None:
        """Return the footprint of the network that is most like one with so many bytes of weights."""
        return min(self._known[1:] or self._known, key=lambda one: abs(one.weights - weights), default=None)


def ran_short(error: BaseException) -> bool:
    """Return whether an error says that memory could not be had."""
    return isinstance(error, MemoryError) or bool(_SHORT.search(str(error)))


def _grown(known: int, near: Footprint, weights: int, usual: int) -> int:
    """Return the bytes that a network takes, by those of a known one; never less.

    Args:
        known: what the known one took.
        near: the known one. Where its weights are few, what it took is not theirs (a block that reads another's table),
            and says nothing of larger ones.
        weights: of the network, bytes.
        usual: what each byte of weights takes as a rule.
    """
    each = known / near.weights if near.weights >= _TELLING else usual
    return int(known + each * max(0, weights - near.weights))

"""What every backend that runs networks has to hold; small networks come first, for runtimes that take their time."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hwnas import backends
from hwnas.backends import RunningBackend, Session, Settings
from hwnas.backends.backend import libraries, prepared, refusal, why_not
from hwnas.backends.outputs import Arrays, compare, reference
from hwnas.backends.runner import BatchRunner
from hwnas.conformance import _networks
from hwnas.conformance._cores import cores_at_work
from hwnas.conformance.check import Cost, NotApplicableError, Request, Suite, applies, expect, refused
from hwnas.supernets.errors import BackendError, PlatformError
from hwnas.supernets.spec import parse_spec
from hwnas.supernets.supernet import Stage


@dataclass(frozen=True)
class BackendSubject:
    """A backend, and the options of its own that it is checked with.

    Attributes:
        backend: works here.
        options: as in a platform string.
        left_out: values of options that are not tried, as (key, value).
    """

    backend: RunningBackend
    options: dict[str, str] = field(default_factory=dict)
    left_out: frozenset[tuple[str, str]] = frozenset()

    def settings(self, **changes: Any) -> Settings:
        """Return its default device and precision, with changes."""
        default = Settings(self.backend.devices[0], precision=self.backend.precisions[0], options=self.options)
        return replace(default, **changes)

    @contextmanager
    def session(self, stage: Stage, **changes: Any) -> Iterator[Session]:
        """Prepare a stage, which is closed in the end."""
        session = prepared(self.backend, stage, self.settings(batch=len(stage.inputs[0]), **changes))
        try:
            yield session
        finally:
            session.close()

    def precision(self) -> str:
        """Return the precision that it has by default."""
        return self.backend.precisions[0]


def _requested(request: Request) -> BackendSubject:
    backend = backends.get(request.name)
    if not isinstance(backend, RunningBackend):
        raise NotApplicableError(f"{request.name} looks latencies up and runs nothing")
    reason = why_not(backend)
    if reason is not None:
        raise PlatformError(f"{request.name} does not work here: {reason}")
    _, options = parse_spec(f"{request.name}:{request.argument}", f"backend {request.name!r}", PlatformError)
    return BackendSubject(backend, options)


SUITE = Suite(backends.registry, _requested)


def _outputs(session: Session) -> Arrays:
    session.run()
    return tuple(np.array(output) for output in session.outputs())


def _check_outputs(subject: BackendSubject, stage: Stage, found: Arrays, precision: str = "") -> None:
    compare(stage.name, found, reference(stage), precision or subject.precision(), subject.backend.name)


# --- what costs little: on networks of three layers ------------------------------------------------------------------


@SUITE.check()
def says_what_it_runs_on(subject: BackendSubject) -> None:
    """It names the versions of the libraries it runs on, and variables of the environment as text."""
    versions = libraries(subject.backend)
    expect(versions, "versions() names no library: results of two versions could not be told apart")
    for name, version in versions.items():
        expect(any(one.isdigit() for one in version), f"versions() has {version!r} for {name}, expected a version")
    variables = subject.backend.environment(subject.settings())
    text = all(isinstance(one, str) for pair in variables.items() for one in pair)
    expect(text, f"environment() gave {variables!r}, expected text for every name")


@SUITE.check()
def small_outputs_are_torchs(subject: BackendSubject) -> None:
    """The outputs of two convolutions and a linear layer are torch's."""
    stage = _networks.convolutions(batch=2)
    with subject.session(stage) as session:
        _check_outputs(subject, stage, _outputs(session))


@SUITE.check()
def several_inputs_and_outputs(subject: BackendSubject) -> None:
    """Two inputs are taken, one of whole numbers, and nested outputs are returned flattened."""
    stage = _networks.pair()
    with subject.session(stage) as session:
        _check_outputs(subject, stage, _outputs(session))


@SUITE.check()
def inputs_are_copied(subject: BackendSubject) -> None:
    """A session has inputs of its own: what becomes of the stage's afterwards changes nothing."""
    import torch

    stage = _networks.convolutions()
    own = torch.full_like(stage.inputs[0], 0.5)
    given = replace(stage, inputs=(own.clone(),))
    with subject.session(given) as session:
        given.inputs[0].fill_(100.0)
        _check_outputs(subject, replace(stage, inputs=(own,)), _outputs(session))


@SUITE.check()
def other_inputs_are_taken(subject: BackendSubject) -> None:
    """A session that has ``feed`` takes any number of samples, batch by batch, and leaves the stage's inputs alone."""
    import torch

    stage = _networks.convolutions(batch=2)
    before = stage.inputs[0].clone()
    with subject.session(stage) as session:
        applies(hasattr(session, "feed"), "its sessions have no feed, so no accuracy can be measured on it")
    x = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    with BatchRunner(subject.backend, stage, subject.settings(batch=2)) as run:
        for samples in (5, 1, 2):
            fed = replace(stage, inputs=(x[:samples],))
            _check_outputs(subject, fed, run(x[:samples].numpy()))
    expect(torch.equal(stage.inputs[0], before), "feed changes the inputs of the stage")


@SUITE.check()
def closing_twice(subject: BackendSubject) -> None:
    """Closing a session twice is harmless, and a closed one does not run: ``BackendError``, with the word closed."""
    session = prepared(subject.backend, _networks.convolutions(), subject.settings())
    session.close()
    session.close()
    said = refused(session.run, BackendError, "a closed session's run()")
    expect("closed" in said, f"a closed session's run() says {said!r}, expected that it is closed")


@SUITE.check()
def closing_releases_the_module(subject: BackendSubject) -> None:
    """A closed session holds no module: a search prepares hundreds."""
    stage = _networks.convolutions()
    gone = weakref.ref(stage.module)
    with subject.session(stage) as session:
        session.run()
    del stage
    gc.collect()
    expect(gone() is None, "a closed session still holds its module, so memory grows with every sub-network")


@SUITE.check()
def another_thread(subject: BackendSubject) -> None:
    """A stage can be prepared and run in another thread than the main one."""
    stage = _networks.convolutions()
    found: list[Arrays] = []

    def work() -> None:
        with subject.session(stage) as session:
            found.append(_outputs(session))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    expect(found, "preparing and running in a thread failed; its traceback is above")
    _check_outputs(subject, stage, found[0])


@SUITE.check()
def times_of_its_own(subject: BackendSubject) -> None:
    """A session that has ``time_runs`` gives the seconds of each run, more than 0."""
    with subject.session(_networks.convolutions()) as session:
        timed = getattr(session, "time_runs", None)
        if timed is None:
            raise NotApplicableError("its sessions have no time_runs: they are timed by the clock")
        session.run()
        seconds = np.asarray(timed(3), dtype=np.float64)
    expect(seconds.shape == (3,), f"time_runs(3) has the shape {seconds.shape}, expected (3,)")
    expect(((seconds >= 1e-9) & (seconds < 600)).all(), f"time_runs(3) gave {seconds}, expected seconds of a run")


@SUITE.check()
def unknown_settings_are_refused(subject: BackendSubject) -> None:
    """A device, a precision or an option that it does not have is refused by name: ``PlatformError``."""
    stage = _networks.convolutions()
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"device": "toaster"}, subject.backend.devices[0]),
        ({"precision": "fp12"}, subject.precision()),
        ({"options": {"no-such-option": "1"}}, "no-such-option"),
        ({"threads": 0}, "at least 1"),
        ({"batch": 0}, "at least 1"),
    ]
    wrong += [({"options": {one.key: "sideways"}}, one.key) for one in subject.backend.options if one.allowed]
    for changes, named in wrong:
        settings = subject.settings(**changes)
        said = refused(lambda s=settings: subject.backend.prepare(stage, s), PlatformError, f"prepare with {changes}")  # type: ignore[misc]
        missing = [word for word in (subject.backend.name, named) if word not in said]
        expect(not missing, f"prepare with {changes} says {said!r}, expected {' and '.join(missing)} in it")


@SUITE.check()
def refusals_agree(subject: BackendSubject) -> None:
    """A precision that ``refuses`` has refused beforehand is not prepared either, with the same words."""
    stage = _networks.convolutions()
    for precision in subject.backend.precisions:
        settings = subject.settings(precision=precision)
        reason = refusal(subject.backend, settings)
        if reason is None:
            continue
        expect(f"precision={precision}" in reason, f"refuses() says {reason!r}, expected precision={precision} in it")
        what = f"prepare with precision={precision}"
        said = refused(lambda s=settings: subject.backend.prepare(stage, s), PlatformError, what)  # type: ignore[misc]
        expect(reason in said, f"{what} says {said!r}, and refuses() {reason!r}")


# --- networks of mobile size -----------------------------------------------------------------------------------------


@SUITE.check()
def every_run_is_complete(subject: BackendSubject) -> None:
    """``run`` returns when the outputs are there, and they are the same after every run."""
    stage = _networks.mobile(*_networks.MOBILE[0])
    with subject.session(stage) as session:
        first = _outputs(session)
        for _ in range(3):
            same = [np.array_equal(one, other) for one, other in zip(first, _outputs(session), strict=True)]
            expect(all(same), "the outputs of one session differ between runs")


@SUITE.check(Cost.SLOW)
def outputs_are_torchs(subject: BackendSubject) -> None:
    """The outputs of sub-networks of mobile size are torch's."""
    for which in _networks.MOBILE:
        stage = _networks.mobile(*which)
        with subject.session(stage) as session:
            _check_outputs(subject, stage, _outputs(session))


@SUITE.check(Cost.SLOW)
def sessions_do_not_disturb_each_other(subject: BackendSubject) -> None:
    """Two sessions that run by turns give the outputs of their own networks."""
    one, other = _networks.mobile(*_networks.MOBILE[0]), _networks.mobile(*_networks.MOBILE[2])
    with subject.session(one) as first, subject.session(other) as second:
        for _ in range(2):
            for stage, session in ((one, first), (other, second)):
                _check_outputs(subject, stage, _outputs(session))


@SUITE.check(Cost.SLOW)
def the_stage_is_left_as_it_was(subject: BackendSubject) -> None:
    """Preparing in any precision changes neither the module's weights nor the inputs."""
    import torch

    stage = _networks.mobile(*_networks.MOBILE[0])
    before = [tensor.clone() for tensor in (*stage.module.state_dict().values(), *stage.inputs)]
    for precision in subject.backend.precisions:
        try:
            with subject.session(stage, precision=precision) as session:
                session.run()
        except PlatformError:
            continue
        after = [*stage.module.state_dict().values(), *stage.inputs]
        same = [torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(before, after, strict=True)]
        expect(all(same), f"preparing with precision={precision} changes the stage's weights or inputs")


@SUITE.check(Cost.SLOW)
def every_option_works(subject: BackendSubject) -> None:
    """Every value of every option gives torch's outputs, or is refused with a reason that names the backend."""
    stage, tried = _networks.mobile(*_networks.MOBILE[0]), 0
    for option in subject.backend.options:
        for value in option.allowed or ():
            if (option.key, value) in subject.left_out:
                continue
            tried += 1
            try:
                with subject.session(stage, options={**subject.options, option.key: value}) as session:
                    _check_outputs(subject, stage, _outputs(session))
            except PlatformError as error:
                named = subject.backend.name in str(error)
                expect(named, f"{option.key}={value} is refused without the backend's name: {error}")
    applies(tried, "it has no option with a list of values")


@SUITE.check(Cost.SLOW)
def every_precision_works(subject: BackendSubject) -> None:
    """Every precision computes nearly the same and is described, or is refused with a reason that names it."""
    stage = _networks.mobile(*_networks.MOBILE[0])
    for precision in subject.backend.precisions:
        try:
            with subject.session(stage, precision=precision) as session:
                found = _outputs(session)
                told = session.describe().get("precision")
        except PlatformError as error:
            expect(precision in str(error), f"precision={precision} is refused without its name: {error}")
            continue
        expect(told == precision, f"describe() says precision {told!r} in a session of precision={precision}")
        _check_outputs(subject, stage, found, precision)


@SUITE.check(Cost.ALONE)
def as_many_cores_as_threads(subject: BackendSubject) -> None:
    """As many threads do the work as the platform says, seen from outside, and ``describe`` says the same."""
    applies("threads" in subject.backend.keys, "it has no key threads: it works elsewhere than on the CPU's threads")
    cores_at_work(subject.backend, subject.settings)

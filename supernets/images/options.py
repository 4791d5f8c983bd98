"""The options that all families of image classifiers have: resolutions, classes, channels, and widths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwnas.supernets.errors import UsageError, suggestion
from hwnas.supernets.space import MOST_VALUES
from hwnas.supernets.spec import parse_int

# For smaller images the first convolution has stride 1: the published networks halve the resolution five times, and
# the last stage would see a single pixel.
SMALL = 96

# Sides that images can have, in pixels. With larger ones the first convolution's output alone takes gigabytes.
SIDES = range(1, 16_385)


@dataclass(frozen=True)
class ImageOptions:
    """The options of an image classifier, spelled in its name: ``r=28,classes=10,channels=1,scale=0.5,stem_stride=1``.

    Attributes:
        resolutions: the possible sides of the square images, in pixels, ascending; a single one makes ``r`` fixed.
        classes: how many classes there are.
        channels: of the images; 1 for grey ones.
        scale: factor on all widths, so that a small super-network for small images trains on a CPU.
        stem_stride: of the first convolution.
        spelled: the options that differ from the published network's, as in the name; "" if none do.
    """

    resolutions: tuple[int, ...] = (224,)
    classes: int = 1000
    channels: int = 3
    scale: float = 1.0
    stem_stride: int = 2
    spelled: str = ""

    @property
    def published(self) -> bool:
        """Whether published weights, tables and predictors fit: no option but the resolution may differ."""
        return (self.classes, self.channels, self.scale, self.stem_stride) == (1000, 3, 1.0, 2)

    def name(self, family: str, more: str = "") -> str:
        """Return the super-network's name: the family's with the options, and with ``more`` of its own."""
        spelled = ",".join(part for part in (self.spelled, more) if part)
        return f"{family}:{spelled}" if spelled else family

    def quality(self, published: str) -> str:
        """Return the default quality source: ``published`` if it fits, else accuracy on a user's own images."""
        return published if self.published else "images"


def parse_images(name: str, options: Mapping[str, str], elastic: tuple[int, ...]) -> ImageOptions:
    """Read the options of the super-network ``name``.

    Args:
        name: of the family, for messages.
        options: as they were given.
        elastic: what ``r=elastic`` stands for.

    Raises:
        UsageError: an option is unknown or has an invalid value; says what is valid.
    """
    known = ("r", "classes", "channels", "scale", "stem_stride")
    unknown = [key for key in options if key not in known]
    if unknown:
        raise UsageError(f"{name}: unknown option {unknown[0]!r}{suggestion(unknown[0], known)}")
    sides = _resolutions(options.get("r", "224"), elastic)
    usual = 1 if sides[-1] < SMALL else 2
    values = {
        "classes": _whole(options, "classes", 1000, range(2, 1_000_001)),
        "channels": _whole(options, "channels", 3, range(1, 1025)),
        "scale": _scale(options.get("scale", "1")),
        "stem_stride": _whole(options, "stem_stride", usual, range(1, 3)),
    }
    plain = {"classes": 1000, "channels": 3, "scale": 1.0, "stem_stride": usual}
    spelled = [] if sides == (224,) else ["r=elastic" if sides == elastic else f"r={'+'.join(map(str, sides))}"]
    spelled += [f"{key}={value:g}" for key, value in values.items() if value != plain[key]]
    return ImageOptions(
        sides,
        int(values["classes"]),
        int(values["channels"]),
        float(values["scale"]),
        int(values["stem_stride"]),
        ",".join(spelled),
    )


def _resolutions(text: str, elastic: tuple[int, ...]) -> tuple[int, ...]:
    if text == "elastic":
        return elastic
    numbers = {parse_int(part) for part in text.split("+")}
    sides = tuple(sorted(number for number in numbers if number is not None and number in SIDES))
    if len(sides) < len(numbers):
        raise UsageError(
            f"r={text!r}: expected 'elastic' or sides of images of {SIDES[0]} to {SIDES[-1]} pixels, joined like "
            "160+192+224"
        )
    if len(sides) > MOST_VALUES:
        raise UsageError(f"r={text!r}: has {len(sides)} resolutions, expected at most {MOST_VALUES}")
    return sides


def _whole(options: Mapping[str, str], key: str, usual: int, allowed: range) -> int:
    text = options.get(key, str(usual))
    number = parse_int(text)
    if number is None or number not in allowed:
        raise UsageError(f"{key}={text!r}: expected a whole number of {allowed[0]} to {allowed[-1]}")
    return number


def _scale(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 4.0:
        raise UsageError(f"scale={text!r}: expected a factor of 0.1 to 4")
    return value

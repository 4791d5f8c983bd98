"""Read IDX files, MNIST's format (LeCun et al., http://yann.lecun.com/exdb/mnist), plain or gzipped.

A file has two zero bytes, one byte for the type, one for the number of dimensions, the dimensions as big-endian 32-bit
numbers, and the values, with the last dimension varying fastest.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwnas.supernets.errors import DataError

_GZIP = b"\x1f\x8b"
_UNSIGNED_BYTE = 0x08


def read_idx(file: Path) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes.

    Raises:
        DataError: the file is missing, not an IDX file of bytes, or ends early.
    """
    content = _content(file)
    if len(content) < 4 or content[:2] != b"\0\0":
        raise DataError(f"{file}: is no IDX file: expected two zero bytes at its beginning, got {content[:2].hex()}")
    if content[2] != _UNSIGNED_BYTE:
        raise DataError(f"{file}: expected unsigned bytes (IDX type 0x08), got type 0x{content[2]:02x}")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise DataError(f"{file}: is truncated: it ends in its header of {start} bytes, after {len(content)}")
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], dtype=">u4"))
    expected = start + math.prod(shape)
    if len(content) != expected:
        what = "is truncated" if len(content) < expected else "goes on behind its end"
        raise DataError(f"{file}: {what}: expected {expected} bytes for shape {shape}, got {len(content)}")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _content(file: Path) -> bytes:
    try:
        content = file.read_bytes()
        return gzip.decompress(content) if content.startswith(_GZIP) else content
    except EOFError as error:
        raise DataError(f"{file}: is truncated: its compressed data ends early") from error
    except (OSError, zlib.error) as error:
        raise DataError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or error})") from error

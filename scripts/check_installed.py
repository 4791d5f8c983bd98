"""Check the types and the layers of the installed package: ``python scripts/check_installed.py``.

mypy and import-linter take the package of the folder that they run in, and in the repository's that is only a part of
it. So they run where there is none, and find what is installed, as users have it. Exit code 1 where one complains.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = ROOT / "pyproject.toml"
MYPY = ("mypy", f"--config-file={SETTINGS}", f"--cache-dir={ROOT / '.mypy_cache'}")
COMMANDS = (
    MYPY,
    # What users of the public functions may write, and what is an error.
    (*MYPY, str(ROOT / "tests" / "typed" / "calls.py")),
    ("lint-imports", f"--config={SETTINGS}", "--no-cache"),
)


def main() -> int:
    """Run both, and return the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        codes = [subprocess.run(command, cwd=folder, check=False).returncode for command in COMMANDS]  # noqa: S603 - our own
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())

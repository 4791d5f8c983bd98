"""Make the toy super-network importable."""

from __future__ import annotations

import sys
from pathlib import Path

PLUGIN = str(Path(__file__).parents[2] / "plugin")
if PLUGIN not in sys.path:
    sys.path.append(PLUGIN)

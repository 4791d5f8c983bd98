"""Read and write lookup tables of block latencies, and read tables of measured sub-networks.

``read(file)`` reads a lookup table of any known layout, ``published`` lists tables that others have published, and
``write_table`` writes one in hwnas's layout. ``measured`` reads CSV files of whole sub-networks.
"""

from __future__ import annotations

from hwnas.latency_luts.formats import read
from hwnas.latency_luts.keys import key
from hwnas.latency_luts.table import BindableTable, Entry, LatencySum, LatencyTable
from hwnas.latency_luts.write import write_table

__all__ = ["BindableTable", "Entry", "LatencySum", "LatencyTable", "key", "read", "write_table"]

"""I searched on A and deploy on B: what do I lose?"""

from hwnas.search.transfer.result import QualityLabel, SharedRows, TransferResult, analyse
from hwnas.search.transfer.run import TransferProgress, transfer

__all__ = ["QualityLabel", "SharedRows", "TransferProgress", "TransferResult", "analyse", "transfer"]

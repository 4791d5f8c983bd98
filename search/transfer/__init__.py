"""Transfer: how good is a front that was searched on platform A when it is deployed on platform B?"""

from hwnas.search.transfer.result import TransferResult, analyse
from hwnas.search.transfer.rows import QualityLabel, SharedRows
from hwnas.search.transfer.run import TransferProgress, transfer

__all__ = ["QualityLabel", "SharedRows", "TransferProgress", "TransferResult", "analyse", "transfer"]

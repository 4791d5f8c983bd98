"""I searched on A and deploy on B: what do I lose?"""

from search.transfer.result import QualityLabel, SharedRows, TransferResult, analyse

__all__ = ["QualityLabel", "SharedRows", "TransferResult", "analyse"]

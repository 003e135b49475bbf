"""The verbs that measure: evaluate, compare and story."""

from ganvas.measuring.options import Options
from ganvas.measuring.telling import story
from ganvas.measuring.verbs import compare, evaluate_pictures, evaluate_run

__all__ = ["Options", "compare", "evaluate_pictures", "evaluate_run", "story"]

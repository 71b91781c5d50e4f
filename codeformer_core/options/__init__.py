"""Every option of a fix, declared once: its name, default, range and one line of help.

The pipelines, the nodes' widgets and the command line read these fields; nothing repeats them. Only the standard library is
imported, so that `codeformer --help` does not wait for torch. docs/add-an-option.md is the recipe.
"""

from .detection import DetectionOptions
from .fix import FixOptions
from .option import OptionField, option_fields, with_values
from .selection import Selection
from .steadiness import Steadiness

__all__ = ["DetectionOptions", "FixOptions", "OptionField", "Selection", "Steadiness", "option_fields", "with_values"]

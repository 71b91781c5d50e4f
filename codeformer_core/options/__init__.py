"""Every option of a fix, declared once: its name, default, range and one line of help.

The pipelines, the nodes' widgets and the command line read these fields; nothing repeats them. Only the standard library is
imported, so that `codeformer --help` does not wait for torch. docs/add-an-option.md is the recipe.
"""

from .detection import DetectionOptions
from .fix import COLOURS, GREY, MASKS, PARTS, FixOptions
from .option import Option, OptionField, option_fields, with_values
from .selection import BLURRED, CHOICES, ORDERS, Selection
from .steadiness import OFF, Steadiness

__all__ = [
    "BLURRED",
    "CHOICES",
    "COLOURS",
    "GREY",
    "MASKS",
    "OFF",
    "ORDERS",
    "PARTS",
    "OptionField",
    "DetectionOptions",
    "FixOptions",
    "Option",
    "Selection",
    "Steadiness",
    "option_fields",
    "with_values",
]

"""The model files: which there are and where they may lie, how they are read, and how they are fetched.

Nothing is done without being asked: `find` only looks, `fetch` is the one function that uses the network, and no file of the
user's is ever moved or overwritten.
"""

from .fetching import fetch, verify
from .manifest import ModelFile, cache_folder, catalogue, find, lookup, places
from .reading import load, read

__all__ = ["ModelFile", "cache_folder", "catalogue", "fetch", "find", "load", "lookup", "places", "read", "verify"]

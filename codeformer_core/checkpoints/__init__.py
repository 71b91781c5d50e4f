"""Model files: the catalogue, where they are found, how they are loaded, and how they are downloaded.

`fetch` is the one function that uses the network, and no file of the user's is ever moved or overwritten.
"""

from .fetching import fetch, verify
from .manifest import ModelFile, cache_folder, catalogue, find, lookup, places
from .reading import load, read

__all__ = ["ModelFile", "cache_folder", "catalogue", "fetch", "find", "load", "lookup", "places", "read", "verify"]

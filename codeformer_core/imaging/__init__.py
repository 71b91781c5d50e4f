"""Geometry and pixel operations on image tensors: nothing here knows what a face is."""

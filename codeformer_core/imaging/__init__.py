"""Geometry and pixel operations on image tensors; only `overlay`, which draws previews, knows what a face is."""

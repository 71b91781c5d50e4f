"""Where a restored crop covers the image: mask styles, parsed face parts, limits and holes."""

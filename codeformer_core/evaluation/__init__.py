"""How good restored faces are: metrics of images and of sets of them, means with confidence intervals, tables and sheets."""

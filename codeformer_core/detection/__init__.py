"""Where faces come from: rotated and tiled detection, other tools' boxes and landmarks, JSON, non-maximum suppression."""

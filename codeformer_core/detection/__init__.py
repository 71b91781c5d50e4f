"""Face detection around the networks: rotation, tiling, other tools' boxes and landmarks, JSON, non-maximum suppression."""

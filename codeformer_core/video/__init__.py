"""Faces in consecutive frames: scene cuts, tracking, temporal smoothing, and the pipeline from file to file."""

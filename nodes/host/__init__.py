"""The host's side of the pack: memory management, model files and videos. Only these modules touch ComfyUI's own modules."""

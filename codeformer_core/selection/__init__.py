"""Select faces: orders, limits, sharpness, candidates for a picker, and reports of what was skipped and why."""

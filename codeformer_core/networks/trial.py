"""Try a model file in a subprocess: a file on which a library crashes (segmentation fault, abort) then ends only that one."""

import os
import subprocess
import sys
from pathlib import Path


def fault_of(script: Path, *arguments: str, library: str, seconds: float = 60) -> str:
    """What a script finds wrong with a file: the last line of its standard error, "" when it ends without one.

    Args:
        script: imports nothing of the package, so that it starts in half a second.
        library: what would have crashed.
    """
    command = [sys.executable, str(script), *arguments]
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # where the library was found
    hidden = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    try:
        tried = subprocess.run(command, env=variables, capture_output=True, timeout=seconds, creationflags=hidden, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"it could not be tried in a process of its own: {error}"
    if tried.returncode not in (0, 1):
        return f"{library} crashes on it, so it is damaged"
    said = tried.stderr.decode(errors="replace").strip().splitlines()
    return said[-1] if tried.returncode else ""

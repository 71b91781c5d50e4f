"""The messages that people can meet in ComfyUI, read from the source: each string as a template, {} for what is filled in."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: What no node reaches: the command line, evaluation, training, whole image files, Python's `fix`.
ELSEWHERE = {"cli", "evaluation", "training", "image_io", "api.py", "upscaler.py", "__main__.py"}

#: Functions and methods whose first argument is shown to people.
SAYING = {"log_and_show", "show"}

#: Lists of sentences that a report ends with.
LISTS = {"notices", "notes", "_notices"}


def template(node: ast.expr) -> str | None:
    """The text of a literal; None for what is put together in another way."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def shown(tree: ast.AST) -> Iterator[ast.expr]:
    """The expressions of a module that end up before a user: of errors, sentences below a node and notices."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            yield from node.exc.args[:1]
        if isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            owner = getattr(node.func, "value", None)
            if name in SAYING or (name == "append" and getattr(owner, "attr", getattr(owner, "id", "")) in LISTS):
                yield node.args[0]


def modules() -> Iterator[tuple[str, ast.AST]]:
    """The files that the nodes reach, parsed."""
    for path in [*(ROOT / "codeformer_core").rglob("*.py"), *(ROOT / "nodes").rglob("*.py")]:
        parts = path.relative_to(ROOT).parts
        if parts[0] != "codeformer_core" or parts[1] not in ELSEWHERE:
            yield "/".join(parts), ast.parse(path.read_text(encoding="utf-8"))


def literals() -> set[str]:
    """Every literal of these files, as a template."""
    return {text for _, tree in modules() for node in ast.walk(tree) if isinstance(node, ast.expr) and (text := template(node))}


def messages() -> dict[str, str]:
    """Template -> the file that it stands in."""
    found = {}
    for file, tree in modules():
        for expression in shown(tree):
            branches = [expression.body, expression.orelse] if isinstance(expression, ast.IfExp) else [expression]
            for branch in branches:
                if (text := template(branch)) and text.strip("{} ;.") and " " in text:
                    found[text] = file
    return found

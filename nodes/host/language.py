"""The language of a node's user: messages and errors as locales/<language>/messages.json translates them.

The core speaks English, and so do the log, the outputs, and clients of the API that ask for nothing else. The browser says
which language its interface has when it queues a prompt (web/js/language.js). The English file has what the core says to users
of the command line, said to users of nodes.
"""

import json
import re
import sys
from collections import OrderedDict
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

LOCALES = Path(__file__).resolve().parents[2] / "locales"

#: Clients whose language is remembered; the oldest is forgotten first.
MAX_CLIENTS = 1000

_languages: OrderedDict[str, str] = OrderedDict()

#: The client that queues a prompt, within its request; the host itself knows only the client whose prompt runs.
_queueing: ContextVar[str | None] = ContextVar("queueing")


class Template(NamedTuple):
    """An English message as a pattern with a group for each placeholder, and the same in another language."""

    pattern: re.Pattern[str]
    translation: str


def register() -> None:
    """Let browsers say which language they speak."""
    from aiohttp import web
    from server import PromptServer

    @PromptServer.instance.routes.post("/codeformer/language")
    async def listen(request: web.Request) -> web.Response:
        said = await request.json()
        remember(str(said["client_id"]), str(said["language"]))
        return web.Response()

    PromptServer.instance.add_on_prompt_handler(queued)


def queued(request: dict[str, Any]) -> dict[str, Any]:
    """Called by the host with the body of a request that queues a prompt, before it checks the prompt."""
    _queueing.set(request.get("client_id"))
    return request


def remember(client: str, language: str) -> None:
    """Keep the language of a client of the server."""
    _languages.pop(client, None)
    if language.isalpha() and (LOCALES / language / "messages.json").is_file():
        _languages[client] = language
    while len(_languages) > MAX_CLIENTS:
        _languages.popitem(last=False)


def current() -> str:
    """The language of the client whose prompt is checked or runs; English where it has not said so."""
    server = sys.modules.get("server")  # the nodes are usable without one
    running = getattr(server.PromptServer.instance, "client_id", None) if server else None
    return _languages.get(_queueing.get(running) or "", "en")


def translate(text: str, language: str | None = None) -> str:
    """A message in a language, by default that of the running node's user; sentences without a translation stay English."""
    language = language or current()
    return "\n".join(_translate_line(line, language) for line in text.split("\n"))


def in_every_language(text: str) -> dict[str, str]:
    """A message by language, for what the host sends to all browsers alike."""
    return {path.parent.name: translate(text, path.parent.name) for path in LOCALES.glob("*/messages.json")}


def _translate_line(line: str, language: str) -> str:
    """A line: the shortest translatable runs of its sentences and list entries, one after the other; the others in English."""
    parts, said = re.split(r"((?<=\.) |; )", line), ""  # every second one separates the others
    while parts:
        runs = {count: _translate_phrase("".join(parts[:count]), language) for count in range(1, len(parts) + 1, 2)}
        count = next((count for count, known in runs.items() if known is not None), 1)
        said += runs[count] or _translate_phrase(parts[0], "en") or parts[0]
        separator = "".join(parts[count : count + 1])
        said += separator if said.isascii() else {" ": "" if said.endswith("。") else " ", "; ": "；"}.get(separator, "")
        del parts[: count + 1]
    return said


def _translate_phrase(text: str, language: str) -> str | None:
    """A message that a template matches, with its parts translated too; None where there is none.

    Half a list in parentheses is no part.
    """
    for template in templates(language):
        match = template.pattern.fullmatch(text)
        if match and all(part.count("(") == part.count(")") for part in match.groups()):
            parts = [_translate_line(part, language) for part in match.groups()]
            return template.translation.format(*parts)
    return None


@cache
def templates(language: str) -> list[Template]:
    """The messages of a language, those with the most fixed characters first, so that the most precise one matches."""
    messages = json.loads((LOCALES / language / "messages.json").read_text(encoding="utf-8"))
    found = []
    for english in sorted(messages, key=lambda english: -len(english.replace("{}", ""))):
        pattern = "(.*?)".join(re.escape(part) for part in english.split("{}"))
        found.append(Template(re.compile(pattern, re.DOTALL), messages[english]))
    return found

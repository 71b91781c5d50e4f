"""Chromium with the frontend of the running ComfyUI in it, driven as a person would."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

#: What a person sees of a first start, and what only costs time.
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Minimap.Visible": False,
    "Comfy.Workflow.Persist": False,
    "Comfy.VueNodes.Enabled": False,
}

#: Whatever is wrong with the nodes of the open workflow, in words.
COMPLAINTS = """() => app.graph.nodes.flatMap((node) => [node, ...(node.subgraph?.nodes ?? [])]).flatMap((node) => {
    const wrong = [], known = node.constructor.nodeData || node.isVirtualNode || node.isSubgraphNode?.()
    if (!known || node.has_errors) wrong.push("missing or in error")
    for (const widget of node.widgets ?? []) {
        const { value, options = {} } = widget
        const offered = typeof options.values === "function" ? options.values(widget, node) : options.values
        if (value === undefined || Number.isNaN(value)) wrong.push(`${widget.name} has no value`)
        if (widget.type === "combo" && Array.isArray(offered) && !offered.includes(value))
            wrong.push(`${widget.name}: ${value} is not offered`)
        if (typeof value === "number" && (value < options.min || value > options.max))
            wrong.push(`${widget.name}: ${value} is not between ${options.min} and ${options.max}`)
    }
    return wrong.map((what) => `${node.type}: ${what}`)
})"""


class Frontend:
    """The page of ComfyUI, and what a person does with it.

    Attributes:
        page: Playwright's.
        errors: what scripts of the page have thrown.
        too_late: what the page raises when it has waited in vain.
    """

    def __init__(self, page: Any, server: Any, shots: Path) -> None:
        from playwright.sync_api import TimeoutError

        self.too_late = TimeoutError
        self.page = page
        self.server = server
        self.shots = shots
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.reload()

    def reload(self) -> None:
        """Open the page anew, with the host's own workflow, which is loaded last."""
        self.page.goto(self.server.url)
        ready = "window.app?.isGraphReady && app.extensionManager?.workflow.activeWorkflow && app.graph.nodes.length > 0"
        self.page.wait_for_function(ready, timeout=120_000)

    def setting(self, name: str, value: Any) -> None:
        """Change a setting, as the settings dialog does."""
        self.page.evaluate("([name, value]) => app.extensionManager.setting.set(name, value)", [name, value])

    def open_template(self, name: str) -> None:
        """Choose a workflow of the pack in the template browser."""
        self.page.evaluate("app.extensionManager.command.execute('Comfy.BrowseTemplates')")
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_text("codeformer-suite", exact=True).first.click()
        chosen = dialog.get_by_test_id(f"template-workflow-{name}")
        chosen.click()
        try:
            dialog.wait_for(state="hidden", timeout=20_000)
        except self.too_late:  # a busy page may lay the list out anew under the click
            chosen.click()
            dialog.wait_for(state="hidden")
        self.page.wait_for_function("(name) => app.extensionManager.workflow.activeWorkflow?.filename === name", arg=name)
        self.page.wait_for_function("app.graph.nodes.length > 2")

    def open(self, graph: dict[str, Any]) -> None:
        """Open a workflow in the UI's format, as dropping its file does."""
        load, loaded = "(graph) => app.loadGraphData(graph)", "(count) => app.graph.nodes.length === count"
        self.page.evaluate(load, graph)
        try:
            self.page.wait_for_function(loaded, arg=len(graph["nodes"]), timeout=20_000)
        except self.too_late:  # a busy page may still be opening the workflow before, which then wins
            self.page.evaluate(load, graph)
            self.page.wait_for_function(loaded, arg=len(graph["nodes"]))

    def complaints(self) -> list[str]:
        """Missing nodes and broken widgets."""
        return self.page.evaluate(COMPLAINTS)

    def prompt(self) -> dict[str, Any]:
        """What the page would send to the server, in API form."""
        return self.page.evaluate("async () => (await app.graphToPrompt()).output")

    def run(self, seconds: float = 120) -> dict[str, Any]:
        """Press Run; the history of the prompt once it has ended."""
        with self.page.expect_response("**/api/prompt") as answer:
            self.page.get_by_test_id("queue-button").click()
        sent = answer.value.json()
        assert "prompt_id" in sent, sent
        return self.server.wait(sent["prompt_id"], seconds)

    def node(self, kind: str) -> int:
        """The id of the first node of a type."""
        return self.page.evaluate("(kind) => app.graph.nodes.find((node) => node.type === kind).id", kind)

    def widget(self, kind: str, name: str) -> Any:
        """The value of a widget of the first node of a type."""
        find = "([kind, name]) => app.graph.nodes.find((node) => node.type === kind).widgets.find((w) => w.name === name).value"
        return self.page.evaluate(find, [kind, name])

    def screenshot(self, name: str) -> Path:
        """A picture of the page, with the whole workflow in sight."""
        self.page.evaluate("() => app.extensionManager.command.execute('Comfy.Canvas.FitView')")
        self.page.wait_for_timeout(300)  # it glides there
        path = self.shots / f"{name}.png"
        self.page.screenshot(path=path)
        return path


@pytest.fixture(scope="session")
def couple(server: Any, shared: Path) -> Any:
    """Two people side by side in the folder that Load Image reads: (H, W, 3) uint8. Beside them the workflows' video."""
    import numpy as np
    from PIL import Image

    shutil.copy(shared / "data/video/hamilton_2s_speech_2997.mp4", server.base / "input" / "example.mp4")
    picture = Image.open(shared / "data/photos/two_people.jpg").convert("RGB")
    picture = picture.resize((picture.width // 2, picture.height // 2))
    picture.save(server.base / "input" / "couple.png")
    return np.array(picture)


@pytest.fixture(scope="session")
def frontend(
    server: Any, portrait: Any, couple: Any, chromium: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Frontend]:
    """One page for all tests, in the classic renderer."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install -e '.[browser]')")
    kept = os.environ.get("CODEFORMER_SHOTS")
    shots = Path(kept) if kept else tmp_path_factory.mktemp("shots")
    shots.mkdir(parents=True, exist_ok=True)
    server.post("/settings", SETTINGS)
    flags = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else [])]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce", locale="en-GB")
        page.set_default_timeout(60_000)
        yield Frontend(page, server, shots)
        browser.close()


@pytest.fixture(params=["classic", "modern"])
def renderer(frontend: Frontend, request: pytest.FixtureRequest) -> Iterator[str]:
    """Both of ComfyUI's renderers: the canvas, which is the default, and Nodes 2.0."""
    frontend.setting("Comfy.VueNodes.Enabled", request.param == "modern")
    yield request.param
    frontend.setting("Comfy.VueNodes.Enabled", False)

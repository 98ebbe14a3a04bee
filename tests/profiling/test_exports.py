"""The files that a profile is saved as."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

import langgraph_cy
from langgraph_cy.profiling.profiler import Profile

from .profiles import State, counter, demo_graphs, fan

NODE = shutil.which("node")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
THREAD: Any = {"configurable": {"thread_id": "1"}}


@pytest.fixture(scope="module")
def profile() -> Profile:
    """A profile with a bit of everything."""
    demo = demo_graphs()
    inner = counter(3, 'in"<ner>')
    nested = StateGraph(State).add_node("below", inner).add_edge(START, "below")
    with langgraph_cy.installed(), langgraph_cy.profile() as profile:
        demo.agent().invoke(demo.AGENT_INPUT)
        list(demo.map_reduce().stream(demo.corpus(20)))
        nested.compile(name="</script>").invoke({"n": 0})
        counter(3, checkpointer=InMemorySaver()).invoke({"n": 0}, THREAD)
        counter(3).invoke({"n": 0}, {"recursion_limit": 1 << 62})
    return profile


def test_save(profile: Profile, tmp_path: Path) -> None:
    for suffix, start in {
        ".html": "<!DOCTYPE html>",
        ".json": '{"traceEvents"',
        ".mmd": "flowchart",
        ".txt": "6 runs",
    }.items():
        path = tmp_path / f"profile{suffix}"
        path.write_text("before")
        profile.save(path)
        assert path.read_text("utf-8").startswith(start)
        profile.save(os.fspath(path).replace(suffix, suffix.upper()))
    left = {path.suffix for path in tmp_path.iterdir()}
    assert {suffix.lower() for suffix in left} == {".html", ".json", ".mmd", ".txt"}


@pytest.mark.parametrize("name", ["profile", "profile.png", "profile.html.gz", ".html"])
def test_unknown_suffix(profile: Profile, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"\.html, \.json, \.mmd, \.txt") as raised:
        profile.save(tmp_path / name)
    assert repr(name) in str(raised.value)
    assert list(tmp_path.iterdir()) == []


def test_nothing_half_written(profile: Profile, tmp_path: Path) -> None:
    (tmp_path / "taken.txt").mkdir()
    with pytest.raises(OSError, match=r"taken\.txt"):
        profile.save(tmp_path / "taken.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.txt"]
    with pytest.raises(FileNotFoundError):
        profile.save(tmp_path / "nowhere" / "profile.txt")


def test_dict(profile: Profile) -> None:
    found = json.loads(json.dumps(profile.to_dict()))
    for run in found["runs"]:
        assert sum(run["parts"].values()) == run["wall"]
        for step in run["supersteps"]:
            assert sum(spent for _, spent in step["critical_path"]) == step["wall"]
    assert found["runs_wall"] == sum(run["wall"] for run in found["runs"] if not run["above"])
    assert found["engine"] <= found["runs_wall"]
    assert {run["engine"] for run in found["runs"]} == {"compiled", "stock"}


def test_trace(profile: Profile) -> None:
    """What Perfetto asks for: known phases, named tracks, events within each other on a track."""
    trace = json.loads(json.dumps(profile.trace()))
    tracks: dict[int, list[Any]] = defaultdict(list)
    named = {}
    for event in trace["traceEvents"]:
        assert event["pid"] == 1
        assert isinstance(event["tid"], int)
        if event["ph"] == "M":
            if event["name"] == "thread_name":
                named[event["tid"]] = event["args"]["name"]
            continue
        assert event["ph"] == "X"
        assert event["ts"] >= 0
        assert event["dur"] >= 0
        tracks[event["tid"]].append(event)
    assert set(tracks) == set(named)
    for events in tracks.values():
        stack: list[int] = []
        for event in sorted(events, key=lambda event: (event["ts"], -event["dur"])):
            began = round(event["ts"] * 1000)
            ended = began + round(event["dur"] * 1000)
            while stack and stack[-1] <= began:
                stack.pop()
            assert not stack or ended <= stack[-1], event
            stack.append(ended)
    names = {event["name"] for event in trace["traceEvents"]}
    assert {"agent", "tools", "reduce", "superstep 1", "stock's engine"} <= names


def test_mermaid(profile: Profile) -> None:
    lines = profile.mermaid().splitlines()
    assert lines[0] == "flowchart TD"
    opened = sum(line.strip().startswith("subgraph ") for line in lines)
    assert opened == sum(line.strip() == "end" for line in lines) == 5
    text = "\n".join(lines)
    assert '["agent"]' in text
    assert "#lt;/script#gt; #gt; below #gt; in#quot;#lt;ner#gt;" in text
    assert re.search(r'"tools<br/>[\d.]+ [mu]s · 3 tasks"', text)
    declared = set(re.findall(r"^ +(g\d+_\d+)[\[(]", text, re.MULTILINE))
    linked = set(re.findall(r"(g\d+_\d+) -", text)) | set(
        re.findall(r"> (?:\|.*\| )?(g\d+_\d+)", text)
    )
    shaded = set(re.findall(r"g\d+_\d+", "".join(li for li in lines if "    class g" in li)))
    assert linked <= declared
    assert shaded == declared


def test_table(profile: Profile) -> None:
    text = profile.table()
    assert re.search(r"^agent +tools +3 ", text, re.MULTILINE)
    assert re.search(r"^all +.* 100\.0%$", text, re.MULTILINE)
    assert "unusual recursion_limit" in text


class Page(HTMLParser):
    """The elements of a page: which are open, and what they refer to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.texts: dict[str, str] = defaultdict(str)
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action"):
                self.links.append(value or "")
            if name == "id":
                self.ids.add(value or "")
        self.kind = dict(attrs).get("type", "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts[f"{self.open[-1]} {self.kind}" if self.open else ""] += data


def test_page(profile: Profile) -> None:
    """It is whole, and needs nothing that is not in it."""
    text = profile.html()
    page = Page(text)
    assert page.open == []
    assert page.links == []
    assert not re.search(r"https?:|//[a-z]|@import|url\(|\bfetch\(|XMLHttp|import\(", text)
    script = page.texts["script "]
    assert set(re.findall(r'getElementById\("(\w+)"\)', script)) <= page.ids
    data = json.loads(page.texts["script application/json"])
    assert data["measured"] == profile.record.measured
    for row in data["rows"]:
        columns = [row[name] for name in ("start", "spent", "part", "name", "step")]
        assert len({len(column) for column in columns}) == 1
        assert row["start"][0] >= 0
        at = ended = 0
        for start, spent in zip(row["start"], row["spent"], strict=True):
            at += start
            assert at >= ended, row["label"]  # bars of a row don't overlap
            ended = at + spent
    labels = [row["label"] for row in data["rows"]]
    assert '</script> > below > in"<ner>' in labels


def test_lanes_of_an_event_loop() -> None:
    import asyncio

    async def worker(packet: int) -> Any:
        await asyncio.sleep(0.001 * packet)
        return {"found": [packet]}

    with langgraph_cy.profile() as profile:
        asyncio.run(fan(worker, 30).ainvoke({}))
    data = json.loads(Page(profile.html()).texts["script application/json"])
    lanes = [row for row in data["rows"] if row["kind"] == "tasks"]
    assert 1 < len(lanes) <= 30
    assert sum(row["part"].count(5) for row in lanes) == 30


STAND_IN = """
const made = [];
const style = { getPropertyValue: () => "#808080", fontFamily: "sans" };
const thing = () => ({
  style: {}, children: [], dataset: {}, textContent: "", scrollTop: 0, clientWidth: 1200,
  append(...all) { this.children.push(...all); }, replaceChildren(...all) { this.children = all; },
  before() {}, addEventListener(kind, act) { (this.acts ??= {})[kind] = act; },
  querySelector() { return canvas; }, setPointerCapture() {},
  getBoundingClientRect: () => ({ left: 0, top: 0 }),
  createTHead() { return this; }, createTBody() { return thing(); },
  insertRow() { return thing(); }, parentElement: { before() {} },
});
const paint = new Proxy({}, {
  get: (all, name) => name === "measureText" ? (text) => ({ width: 6 * text.length })
    : all[name] ?? ((...numbers) => {
      if (name === "fillRect" && numbers.some(Number.isNaN)) throw new Error("not a number");
      made.push(name);
    }),
  set: (all, name, value) => { all[name] = value; return true; },
});
const canvas = { ...thing(), getContext: () => paint };
const byId = {};
globalThis.document = {
  documentElement: thing(), body: thing(), createElement: thing,
  getElementById: (id) => (byId[id] ??= thing()),
};
byId.data = { textContent: require("fs").readFileSync(process.argv[2], "utf-8") };
globalThis.getComputedStyle = () => style;
globalThis.matchMedia = () => thing();
globalThis.addEventListener = () => {};
globalThis.innerWidth = 1200; globalThis.innerHeight = 900; globalThis.devicePixelRatio = 1;
globalThis.requestAnimationFrame = (act) => act();
"""
USE = """
const at = { clientX: 400, clientY: 60, deltaX: 0, deltaY: -200, pointerId: 1, ctrlKey: true,
  preventDefault() {} };
for (let i = 0; i < 40; i++) byId.timeline.acts.wheel(at);
for (let y = 30; y < 300; y += 5) canvas.acts.pointermove({ ...at, clientY: y });
canvas.acts.dblclick(at);
for (const key of "wasd0") byId.timeline.acts.keydown({ key, preventDefault() {} });
canvas.acts.pointerdown(at);
canvas.acts.pointermove({ ...at, clientX: 300 });
canvas.acts.pointerup(at);
console.log(made.filter((name) => name === "fillRect").length);
"""


@pytest.mark.skipif(NODE is None, reason="Node.js, which would run the page's script, is not here")
def test_script(profile: Profile, tmp_path: Path) -> None:
    """The script draws, and answers to the mouse and the keys, without an error."""
    page = Page(profile.html())
    (tmp_path / "data.json").write_text(page.texts["script application/json"], "utf-8")
    script = tmp_path / "page.js"
    script.write_text(f"{STAND_IN} {{ {page.texts['script ']} {USE} }}", "utf-8")
    done = subprocess.run(
        [str(NODE), str(script), str(tmp_path / "data.json")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


def no_browser() -> str | None:
    """Why no browser can be started, None where one can."""
    if CHROMIUM is None:
        return "Chromium, which would show the page, is not here"
    if sys.platform != "win32":
        import resource

        if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
            return "Chromium, which would show the page, needs address space without a limit"
    return None


@pytest.mark.skipif(no_browser() is not None, reason=no_browser() or "")
def test_in_a_browser(profile: Profile, tmp_path: Path) -> None:
    """The page shows its tables and draws its timeline, without an error."""
    path = tmp_path / "profile.html"
    probe = (
        "<script>addEventListener('error', (e) => document.title = 'error: ' + e.message);</script>"
    )
    said = (
        "<script>draw();"
        "const pixels = paint.getImageData(0, 0, canvas.width, canvas.height).data;"
        "document.body.dataset.colours = new Set(new Uint32Array(pixels.buffer)).size;</script>"
    )
    text = profile.html().replace("<head>", f"<head>{probe}").replace("</body>", f"{said}</body>")
    path.write_text(text, "utf-8")
    with tempfile.TemporaryDirectory() as settings:
        done = subprocess.run(
            [
                str(CHROMIUM),
                *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
                *("--no-first-run", "--disable-background-networking"),
                *("--disable-component-update", "--disable-sync"),
                *(f"--user-data-dir={settings}", "--virtual-time-budget=5000", "--dump-dom"),
                path.as_uri(),
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert "<title>Profile of agent" in done.stdout, done.stderr
    assert int(re.findall(r'data-colours="(\d+)"', done.stdout)[0]) > 10
    assert re.search(r"<td[^>]*>tools</td>", done.stdout)

"""The page in a real browser: what a reviewer's mouse, keys and fingers do to the files."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.support.fake_model import FakeModel, photo, run
from tests.support.review_server import Served, pixels, served
from tp_drseg.inference.request import Prompt

WIDTH, HEIGHT = 2400, 1300
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs, one of them large, and their results with a model whose answer is the red."""
    root = tmp_path_factory.mktemp("made")
    large = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    large[..., 0] = np.linspace(0, 255, WIDTH).astype(np.uint8)
    large[..., 1] = 40
    (root / "in").mkdir()
    Image.fromarray(large).save(root / "in" / "a.png")
    photo(root / "in" / "b.png")
    run(root / "in", root / "out", lesions=["EX", "MA"])
    return root


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made / "out", tmp_path / "out")
    return tmp_path / "out"


@contextmanager
def opened(browser: Browser, server: Served, **context: Any) -> Iterator[Page]:
    """A page that has shown its first photograph; nothing may go wrong in it."""
    options = {"viewport": {"width": 1366, "height": 768}, **context}
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(20_000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.goto(server.url)
    ready(page)
    yield page
    page.context.close()
    refused = "Failed to load resource: the server responded with a status of 4"
    assert not [text for text in wrong if not text.startswith(refused)]


def ready(page: Page) -> None:
    expect(page.locator("#title")).to_have_text(re.compile(r"\S"), timeout=20_000)
    expect(page.locator("#busy")).to_be_hidden(timeout=20_000)


def saved(page: Page) -> None:
    expect(page.locator("#saved")).to_have_text("Saved", timeout=20_000)


def place(canvas: Locator, x: float, y: float, scale: float) -> tuple[float, float]:
    """Where a place of the large photograph is on the screen, its middle in the canvas' middle."""
    box = canvas.bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    return middle[0] + (x - WIDTH / 2) * scale, middle[1] + (y - HEIGHT / 2) * scale


def fitted(canvas: Locator) -> float:
    box = canvas.bounding_box()
    assert box is not None
    return 0.97 * min(box["width"] / WIDTH, box["height"] / HEIGHT)


def dot(page: Page) -> None:
    """Press the mouse on the large photograph, where the model marks nothing."""
    canvas = page.locator("#canvas")
    page.mouse.move(*place(canvas, 300, 300, fitted(canvas)))
    page.mouse.down()
    page.mouse.up()


def corrected(results: Path, label: str = "EX", image: str = "a.png") -> NDArray[np.bool_]:
    found = pixels((results / f"{image}.{label}.corrected.png").read_bytes())
    assert set(np.unique(found)) <= {0, 255}
    mask: NDArray[np.bool_] = found == 255
    return mask


def model_mask(results: Path) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = pixels((results / "a.png.EX.mask.png").read_bytes()) == 255
    return mask


def disc(x: int, y: int, diameter: int) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.asarray(np.hypot(columns - x, rows - y) <= diameter / 2)


def test_a_session_of_work(browser: Browser, results: Path) -> None:
    """Zoom, click, brush, undo, threshold, accept; close; open again: all is there."""
    model = FakeModel()
    with served(results, model) as server:
        with opened(browser, server) as page:
            canvas = page.locator("#canvas")
            expect(page.locator("#list li")).to_have_count(2)
            expect(page.locator("#title")).to_have_text("a.png")

            # zoomed to eight pixels of the screen for one, a click means just the pixel under it
            scale = fitted(canvas)
            middle = place(canvas, WIDTH / 2, HEIGHT / 2, scale)
            x, y = (round(value) for value in place(canvas, 2000, 1000, scale))
            # what stays where it is on the photograph while the wheel turns
            fixed = (WIDTH / 2 + (x - middle[0]) / scale, HEIGHT / 2 + (y - middle[1]) / scale)
            page.mouse.move(x, y)
            while scale < 8:
                page.mouse.wheel(0, -120)
                scale *= float(np.exp(120 / 400))
            spot = (x + (2000.5 - fixed[0]) * scale, y + (1000.5 - fixed[1]) * scale)
            page.mouse.move(*spot)
            said = f"x 2000  y 1000  {round(100 * scale)} %"
            expect(page.locator("#where")).to_have_text(said)
            page.keyboard.press("c")
            page.mouse.click(*spot)
            saved(page)
            (prompt,) = model.asked[-1]
            assert isinstance(prompt, Prompt)
            assert (prompt.point_coords, prompt.point_labels) == (((2000, 1000),), (1,))
            assert np.array_equal(corrected(results), model_mask(results))

            # a stroke of the brush hits just these pixels, and the eraser frees them
            page.keyboard.press("0")
            page.keyboard.press("b")
            brush = int(page.locator("#brush").input_value())
            page.mouse.move(*place(canvas, 300.5, 400.5, fitted(canvas)))
            where = page.locator("#where").text_content() or ""
            x, y = map(int, re.findall(r"[xy] (\d+)", where))
            for _ in range(3):
                page.keyboard.press("+")
            expect(page.locator("#where")).to_be_visible()
            page.keyboard.press("0")
            page.mouse.down()
            page.mouse.up()
            expect(page.locator("#undo")).to_be_enabled()
            saved(page)
            drawn = corrected(results) & ~model_mask(results)
            assert drawn[y, x]
            # to a pixel at the rim: the pointer stands somewhere in the middle pixel
            assert not (drawn & ~disc(x, y, brush + 2)).any()
            assert not (disc(x, y, brush - 2) & ~drawn).any()

            page.keyboard.press("z")
            expect(page.locator("#redo")).to_be_enabled()
            assert np.array_equal(corrected(results), model_mask(results))
            page.keyboard.press("y")
            expect(page.locator("#redo")).to_be_disabled()
            assert np.array_equal(corrected(results) & ~model_mask(results), drawn)

            # the threshold moves the mask and leaves alone what was drawn
            page.locator("#threshold").fill("200")
            expect(page.locator("#threshold-value")).to_have_text("0.78")
            saved(page)
            red = np.linspace(0, 255, WIDTH).astype(np.uint8) / np.float32(255)
            wanted = np.broadcast_to(red >= 200 / 256, (HEIGHT, WIDTH)) | drawn
            assert np.array_equal(corrected(results), wanted)

            page.keyboard.press("a")
            expect(page.locator("#title")).to_have_text("b.png")
            expect(page.locator("#list .state-corrected")).to_have_count(1)
        with opened(browser, server) as page:
            expect(page.locator("#title")).to_have_text("a.png")
            expect(page.locator("#state")).to_have_text("Corrected by Anna")
            expect(page.locator("#threshold-value")).to_have_text("0.78")
            expect(page.locator("#undo")).to_be_enabled()
            page.keyboard.press("b")
            page.mouse.move(*place(page.locator("#canvas"), 1200.5, 650.5, 1))
            page.mouse.down()
            page.mouse.up()
            expect(page.locator("#state")).to_have_text("Begun by Anna")
            more = corrected(results)
            assert more[650, 1200] and np.array_equal(more & wanted, wanted)


def test_strokes_are_saved_bit_for_bit(browser: Browser, results: Path) -> None:
    """What the page holds, said by the page itself, is what lies on the disk."""
    with served(results) as server, opened(browser, server) as page:
        made = page.evaluate(
            """async () => {
              const { Layers } = await import("/static/layers.js");
              const { packRows, encodeRows, decodeGrey } = await import("/static/png.js");
              const layers = new Layers(701, 301); // no whole bytes in a row
              for (let i = 0; i < layers.bits.length; i++) layers.bits[i] = (i * 2654435761) >>> 28;
              const blob = await encodeRows(packRows(layers.bits, 4, 701, 301), 701, 301);
              const again = await decodeGrey(blob);
              return {
                png: [...new Uint8Array(await blob.arrayBuffer())],
                same: again.values.every((v, i) => v === (layers.bits[i] & 4 ? 255 : 0)),
              };
            }"""
        )
    values = (np.arange(701 * 301, dtype=np.uint64) * 2654435761 & 0xFFFFFFFF) >> 28
    wanted = (values & 4 > 0).reshape(301, 701)
    assert made["same"] and np.array_equal(pixels(bytes(made["png"])), wanted)


def test_regions_are_those_of_the_package(browser: Browser, results: Path) -> None:
    from tp_drseg.images import find_regions

    rng = np.random.default_rng(1)
    mask = rng.random((90, 120)) < 0.35
    with served(results) as server, opened(browser, server) as page:
        found = page.evaluate(
            """async (mask) => {
              const { Layers } = await import("/static/layers.js");
              const layers = new Layers(120, 90);
              layers.set(3, Uint8Array.from(mask));
              return layers.regions(3).map((r) => [r.left, r.top, r.right, r.bottom, r.area]);
            }""",
            mask.reshape(-1).astype(int).tolist(),
        )
    wanted = [[*region.box, region.area_px] for region in find_regions(mask)]
    assert sorted(found) == sorted(wanted)
    assert [one[4] for one in found] == sorted((one[4] for one in wanted), reverse=True)


def test_the_keyboard_is_enough(browser: Browser, results: Path) -> None:
    with served(results) as server, opened(browser, server) as page:
        for key in ("2", "b", "]", "/", "ArrowLeft", "Enter"):
            page.keyboard.press(key)
        saved(page)
        drawn = corrected(results, "MA")
        step = -60 / fitted(page.locator("#canvas"))
        own = pixels((results / "a.png.MA.mask.png").read_bytes()) == 255
        columns = np.nonzero(drawn & ~own)[1]
        assert columns.size and abs(columns.mean() - WIDTH / 2 - step) < 14
        page.keyboard.press("e")
        page.keyboard.press("Enter")
        expect(page.locator("#undo")).to_be_enabled()
        page.keyboard.press("x")
        expect(page.locator("#title")).to_have_text("b.png")
        expect(page.locator("#list .state-rejected")).to_have_count(1)
        page.keyboard.press("k")
        expect(page.locator("#title")).to_have_text("a.png")
        page.keyboard.press("?")
        expect(page.locator("#help")).to_be_visible()
        expect(page.locator("#keys")).to_contain_text("Next photograph")


def test_views(browser: Browser, results: Path) -> None:
    with served(results) as server, opened(browser, server) as page:
        before = page.locator("#canvas").screenshot()
        for key in ("g", "f", "s", "Shift+1"):
            page.keyboard.press(key)
            page.wait_for_timeout(100)
            after = page.locator("#canvas").screenshot()
            assert after != before, key
            before = after
        page.keyboard.press("p")
        expect(page.get_by_role("switch", name="Prior map")).to_have_attribute(
            "aria-checked", "true"
        )
        page.keyboard.press("n")
        assert page.locator("#canvas").get_attribute("aria-label", timeout=1000)


def test_a_finger_draws_and_two_move(browser: Browser, results: Path) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with served(results) as server, opened(browser, server, **phone) as page:
        page.locator("#show-panel").tap()
        page.get_by_role("radio", name="Brush").tap()
        page.locator("#show-panel").tap()
        canvas = page.locator("#canvas")
        box = canvas.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2 - 80, box["y"] + box["height"] / 2
        touch = page.context.new_cdp_session(page)

        def send(kind: str, *points: tuple[float, float]) -> None:
            found = [{"x": px, "y": py, "id": n} for n, (px, py) in enumerate(points)]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": found})

        send("touchStart", (x, y), (x + 60, y))
        send("touchMove", (x - 20, y), (x + 80, y))
        send("touchEnd")
        page.wait_for_timeout(200)
        assert not (results / "a.png.EX.corrected.png").exists()  # two fingers draw nothing
        send("touchStart", (x, y))
        send("touchMove", (x + 5, y))
        send("touchEnd")
        saved(page)
        assert (corrected(results) & ~model_mask(results)).any()


def test_a_second_window_is_told(browser: Browser, results: Path) -> None:
    with (
        served(results) as server,
        opened(browser, server) as first,
        opened(browser, server) as second,
    ):
        for page in (first, second):
            page.keyboard.press("b")
            page.mouse.move(
                *place(page.locator("#canvas"), 300, 300, fitted(page.locator("#canvas")))
            )
            page.mouse.down()
            page.mouse.up()
            if page is first:
                saved(page)
                mask = corrected(results)
        expect(second.locator("#message")).to_contain_text("another window")
        assert np.array_equal(corrected(results), mask)
        second.keyboard.press("z")  # it has what was saved, and goes on from there
        expect(second.locator("#redo")).to_be_enabled()


def test_who_comes_second_may_look(browser: Browser, results: Path) -> None:
    with (
        served(results),
        served(results, reviewer="Ben") as server,
        opened(browser, server) as page,
    ):
        expect(page.locator("#message")).to_contain_text("Another reviewer has this folder open")
        expect(page.locator("#accept")).to_be_disabled()
        page.keyboard.press("b")
        dot(page)
        page.keyboard.press("a")
        page.wait_for_timeout(200)
    assert not list(results.glob("*.review.json"))


def test_a_wrong_address_says_what_to_do(browser: Browser, results: Path) -> None:
    with served(results) as server:
        page = browser.new_page()
        page.goto(server.url.split("#")[0])
        expect(page.locator("#message")).to_contain_text("Open the page by the address")
        page.close()


def test_script_in_a_name_is_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>.png"
    photo(tmp_path / "in" / name)
    run(tmp_path / "in", tmp_path / "out")
    with (
        served(tmp_path / "out", reviewer="<script>alert(2)</script>") as server,
        opened(browser, server) as page,
    ):
        shown = server.photographs()[0]["image"]
        expect(page.locator("#title")).to_have_text(shown)
        expect(page.locator("#folder")).to_contain_text("<script>alert(2)</script>")
        page.locator("#note").fill("<script>alert(3)</script>")
        page.keyboard.press("Tab")
        saved(page)


def test_a_foreign_page_gets_nothing(browser: Browser, results: Path, tmp_path: Path) -> None:
    with served(results) as server:
        page = browser.new_page()
        page.goto("data:text/html,<p>foreign")
        found = page.evaluate(
            """async ([url, token]) => {
              const tries = [
                fetch(url + "api/folder", { headers: { "X-Review-Token": token } }),
                fetch(url + "api/folder"),
                fetch(url + "static/main.js"),
                import(url + "static/main.js"),
              ];
              const done = await Promise.allSettled(tries);
              return done.map((one) => one.status);
            }""",
            [server.url.split("#")[0], server.token],
        )
        page.close()
    assert found == ["rejected"] * 4


def test_five_hundred_photographs_are_listed_at_once(browser: Browser, results: Path) -> None:
    records = results / ".tp-drseg" / "images"
    (first,) = [path for path in records.glob("*.json") if '"b.png"' in path.read_text()]
    data = json.loads(first.read_text())
    for number in range(500):
        name = f"eye{number:03}.png"
        copy = json.loads(json.dumps(data).replace("b.png", name))
        digest = hashlib.sha256(name.encode()).hexdigest()[:32]
        (records / f"{digest}.json").write_text(json.dumps(copy))
        small = results / "thumbnails"
        shutil.copy(small / "b.png.thumbnail.jpg", small / f"{name}.thumbnail.jpg")
    with served(results) as server:
        start = time.perf_counter()
        assert len(server.photographs()) == 502
        seconds = time.perf_counter() - start
        with opened(browser, server) as page:
            expect(page.locator("#counts")).to_have_text("502 of 502 photographs shown, 0 done")
            page.locator("#list li").last.scroll_into_view_if_needed()
            expect(page.locator("#list li").last).to_be_visible()
            page.locator("#filter").select_option("rejected")
            expect(page.locator("#list li")).to_have_count(0)
    assert seconds < 5  # a tenth of that on a machine that has nothing else to do

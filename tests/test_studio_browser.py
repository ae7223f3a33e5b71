"""The studio as a person uses it: a real browser, real keys, a real training."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from browser import Tab, browsing
from playwright.sync_api import Browser, Page, expect
from studio_server import Server, serving
from test_store import SOURCE, network, record

from cnngen.backend import backend_names
from cnngen.language import parse
from cnngen.network import Network
from cnngen.runs.store import save
from cnngen.space.resolution import resolve
from cnngen.space.sampling import sample

SHAPE = (8, 8, 1)
TABS = ("diagram", "code", "cost", "prediction", "sample", "train", "explore")
TEXT = "TRY -> input conv(filters=4, kernel=3) [add ( conv , Empty ) ] flatten dense output"
SMALL = "input conv(filters=2, kernel=3) flatten dense output"
ABLE = "input conv(filters=8, kernel=3, stride=1, activation=relu) flatten dense output"
MARKUP = "<img src=x onerror=alert(1)>"

Open = Callable[..., Any]

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to edit, and runs of which three are the best of their size."""
    folder = tmp_path_factory.mktemp("studio")
    (folder / "net.cnn").write_text(SMALL)
    runs = folder / "runs" / MARKUP.replace("/", "")
    for filters, accuracy in ((2, 0.5), (3, 0.25), (4, 0.75), (5, 0.875), (6, 0.75)):
        net = network(filters)
        save(runs, record(net, test_accuracy=accuracy), net, SOURCE)
    broken = record(network(7))
    save(runs, broken, network(7), SOURCE)
    text = (runs / broken.key / "record.json").read_text()
    text = text.replace("{", f'{{"{MARKUP}": 1,', 1)
    (runs / broken.key / "record.json").write_text(text)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serving("net.cnn", "--folder", "runs", cwd=folder) as running:
        yield running


@pytest.fixture
def opened(browser: Browser, server: Server) -> Iterator[Open]:
    """Opens the studio as a new person would; at the end, nothing may have gone elsewhere."""
    tabs: list[Tab] = []

    @contextmanager
    def opening(**settings: Any) -> Iterator[Page]:
        settings = {"viewport": {"width": 1280, "height": 800}, **settings}
        context = browser.new_context(**settings)
        tab = Tab(context.new_page())
        tabs.append(tab)
        tab.page.goto(server.address)
        expect(tab.page.locator("body")).to_have_attribute("data-ready", "")
        try:
            yield tab.page
        finally:
            context.close()

    yield opening
    for tab in tabs:
        assert tab.left(server.origin) == []
        assert tab.complaints == []


def write(page: Page, text: str) -> None:
    """Type a text in place of what stands there, and wait until the studio has read it."""
    page.locator("#text .cm-content").click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.press("Delete")
    page.keyboard.insert_text(text)
    read(page, text)


def read(page: Page, text: str) -> None:
    units = len(text.encode("utf-16-le")) // 2
    expect(page.locator("body")).to_have_attribute("data-checked", str(units))


def text_of(page: Page) -> str:
    return "\n".join(page.locator("#text .cm-line").all_inner_texts())


def selected(page: Page) -> str:
    return str(page.evaluate("getSelection().toString()"))


def resolved(text: str) -> Network:
    return resolve(parse(text), input_shape=SHAPE, classes=10)


def test_a_fault_is_shown_at_its_place_and_its_correction_draws_the_network(opened: Open) -> None:
    with opened() as page:
        write(page, TEXT.replace("conv ,", "cnv ,"))
        expect(page.locator(".cm-lintRange-error")).to_have_text("cnv")
        fault = page.locator("#faults button")
        expect(fault).to_contain_text("Did you mean 'conv'?")
        expect(fault.locator(".place")).to_have_text(f"1:{TEXT.index('conv ,') + 1}")
        expect(page.locator("#status")).to_have_text("One fault")
        fault.click()
        assert selected(page) == "cnv"
        page.keyboard.insert_text("conv")
        read(page, TEXT)
        expect(page.locator(".cm-lintRange-error")).to_have_count(0)
        expect(page.locator("#faults li")).to_have_count(0)
        drawn = page.locator("#diagram g.node")
        expect(drawn).to_have_count(len(resolved(TEXT)))
        names = drawn.evaluate_all("boxes => boxes.map(box => box.dataset.node)")
        assert names == [node.name for node in resolved(TEXT).nodes]


def test_sides_that_cannot_meet_are_told_with_both_shapes(opened: Open) -> None:
    with opened() as page:
        write(page, "input [add ( conv(stride=2, padding=same) , Empty ) ] flatten dense output")
        expect(page.locator("#faults")).to_contain_text("4x4")
        expect(page.locator("#faults")).to_contain_text("8x8")


def test_a_box_leads_to_its_text_and_the_text_to_its_box(opened: Open) -> None:
    # A sign outside the Basic Multilingual Plane is one character and two units of UTF-16.
    text = "// \N{GRINNING FACE}\n" + TEXT
    with opened() as page:
        write(page, text)
        page.locator("#diagram g.node").nth(1).click()
        assert selected(page) == "conv(filters=4, kernel=3)"
        page.locator("#diagram g.node[data-node=add1]").click()
        assert selected(page) == "[add ( conv , Empty ) ]"
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        expect(page.locator("#diagram g.node.current")).to_have_attribute("data-node", "flatten1")


def test_the_code_of_each_backend_can_be_read_and_downloaded(opened: Open) -> None:
    with opened() as page:
        write(page, TEXT)
        page.locator("#tab-code").click()
        sources = {name: resolved(TEXT).to_source(name) for name in backend_names()}
        for name, source in sources.items():
            others = {line for other in sources if other != name for line in lines(sources[other])}
            own = next(line for line in lines(source) if line not in others)
            page.locator("#code select").select_option(name)
            expect(page.locator("#code .cm-content")).to_contain_text(own)
            expect(page.locator("#code .cm-content")).to_contain_text(lines(source)[20])
            with page.expect_download() as saved:
                page.locator("#code button", has_text="Download").click()
            assert saved.value.suggested_filename == f"try_{name}.py"
            assert saved.value.path().read_text() == source
        page.locator("#code .cm-content").click()
        page.keyboard.type("import os")
        expect(page.locator("#code .cm-content")).not_to_contain_text("import os")


def lines(source: str) -> list[str]:
    return [line.strip() for line in source.splitlines()]


def test_the_cost_of_each_layer_adds_up_to_the_networks(opened: Open) -> None:
    with opened() as page:
        write(page, TEXT)
        page.locator("#tab-cost").click()
        cells = page.locator("#cost td.share")
        counts = [int(count.replace(",", "")) for count in all_titles(cells)]
        cost = resolved(TEXT).cost
        assert sum(counts[0::3]) == cost.parameters
        assert sum(counts[1::3]) == cost.flops
        assert sum(counts[2::3]) == cost.activations
        page.locator("#cost button", has_text="conv1").click()
        assert selected(page) == "conv(filters=4, kernel=3)"


def all_titles(cells: Any) -> list[str]:
    titles: list[str] = cells.evaluate_all("cells => cells.map(cell => cell.title)")
    return titles


def test_sampling_puts_the_network_of_a_seed_into_the_editor(opened: Open) -> None:
    with opened() as page:
        page.locator("#tab-sample").click()
        page.locator("#sample select").select_option("compact")
        page.locator("#sample [name=seed]").fill("6")
        page.locator("#sample button", has_text="Next seed").click()
        expect(page.locator("#sample")).to_contain_text("Seed 7 of compact is in the editor.")
        drawn = sample("compact", input_shape=SHAPE, classes=10, seed=7)
        expect(page.locator("#name")).to_have_text(f"{drawn.id}.cnn")
        page.locator("#tab-cost").click()
        expect(page.locator("#cost")).to_contain_text(drawn.id)
        page.locator("#tab-sample").click()
        page.locator("#sample [name=layers-most]").fill("1")
        page.locator("#sample button.primary").click()
        expect(page.locator("#sample .notice")).to_contain_text("met the bounds")


def test_a_network_is_trained_to_the_end_with_its_curves_and_energy(opened: Open) -> None:
    with opened() as page:
        write(page, ABLE)
        page.keyboard.press("Control+Enter")
        figures = page.locator("#train .figures")
        expect(figures).to_be_visible(timeout=180_000)
        accuracy = re.search(r"Test accuracy\s*([\d.]+) %", figures.inner_text())
        assert accuracy is not None
        assert float(accuracy[1]) > 80
        assert re.search(r"Energy\s*[\d.e-]+ Wh", figures.inner_text())
        expect(page.locator("#train .result")).to_contain_text("Energy by CodeCarbon: CPU")
        expect(page.locator("#train .curves .dot.validation")).to_have_count(2 * 10)
        expect(page.locator("#train .primary")).to_be_enabled()


def test_a_cancelled_training_ends_its_worker_and_another_one_can_begin(
    opened: Open, server: Server
) -> None:
    with opened() as page:
        write(page, SMALL)
        page.locator("#tab-train").click()
        page.locator("#train [name=epochs]").fill("1000")
        page.locator("#train .primary").click()
        expect(page.locator("#train [role=status]")).to_contain_text("Epoch", timeout=180_000)
        before = {child.pid for child in children(server)}
        page.locator("#train button", has_text="Cancel").click()
        expect(page.locator("#train [role=status]")).to_have_text("Cancelled.")
        page.locator("#train [name=epochs]").fill("1")
        page.locator("#train .primary").click()
        expect(page.locator("#train .figures")).to_be_visible(timeout=180_000)
        now = {child.pid for child in children(server)}
        assert len(before - now) == 1
        assert len(now - before) == 1


def children(server: Server) -> list[psutil.Process]:
    return psutil.Process(server.process.pid).children()


def test_the_explorer_finds_the_best_filters_and_opens_a_run(opened: Open) -> None:
    with opened() as page:
        page.locator("#tab-explore").click()
        expect(page.locator("#explore .dots circle")).to_have_count(2)
        expect(page.locator("#explore .best")).to_have_count(3)
        expect(page.locator("#explore [role=status]")).to_contain_text("5 of 5 runs; 3 are on the")
        rows = page.locator("#explore tbody tr")
        accuracies = rows.locator("td:nth-child(2)").all_inner_texts()
        assert accuracies == ["87.5 %", "75.0 %", "75.0 %", "50.0 %", "25.0 %"]
        expect(page.locator("#explore .notice")).to_contain_text("1 runs cannot be read")
        page.locator("#explore label", has_text="Accuracy from").locator("input").fill("60")
        expect(rows).to_have_count(3)
        expect(page.locator("#explore .best")).to_have_count(2)
        place = page.locator("#explore .best").last.bounding_box()
        assert place is not None
        page.mouse.click(place["x"] + 4, place["y"] + 4)
        expect(page.locator("#name")).to_have_text(f"{network(5).id}.cnn")
        assert parse(text_of(page)) == network(5).description


def test_names_in_a_folder_are_text_and_never_markup(opened: Open) -> None:
    with opened() as page:
        page.locator("#tab-explore").click()
        expect(page.locator("#explore option").first).to_contain_text("<img src=x")
        expect(page.locator("#explore .notice")).to_contain_text(MARKUP)
        assert page.locator("#explore img").count() == 0


def test_what_is_not_saved_survives_a_reload_and_the_file_can_be_gone_back_to(
    opened: Open, folder: Path
) -> None:
    with opened() as page:
        assert text_of(page) == SMALL
        write(page, TEXT)
        expect(page.locator("#unsaved")).to_be_visible()
        page.reload()
        read(page, TEXT)
        assert text_of(page) == TEXT
        assert (folder / "net.cnn").read_text() == SMALL
        page.locator("#back").click()
        read(page, SMALL)
        assert text_of(page) == SMALL
        expect(page.locator("#unsaved")).to_be_hidden()


def test_a_file_is_saved_unless_another_program_has_changed_it(opened: Open, folder: Path) -> None:
    file = folder / "net.cnn"
    try:
        with opened() as page:
            write(page, TEXT)
            page.keyboard.press("ControlOrMeta+s")
            expect(page.locator("#unsaved")).to_be_hidden()
            assert file.read_text() == TEXT
            file.write_text("// mine")
            write(page, SMALL)
            page.keyboard.press("ControlOrMeta+s")
            expect(page.locator("#faults")).to_contain_text("changed by another program")
            assert file.read_text() == "// mine"
            with page.expect_download() as saved:
                page.locator("#download").click()
            assert saved.value.path().read_text() == SMALL
    finally:
        file.write_text(SMALL)


def test_words_are_completed_where_they_may_stand(opened: Open) -> None:
    with opened() as page:
        write(page, "input conv(")
        page.keyboard.press("Control+End")
        page.keyboard.type("ker")
        expect(page.locator(".cm-tooltip-autocomplete li")).to_contain_text(["kernel"])
        expect(page.locator(".cm-tooltip-autocomplete li[aria-selected]")).to_be_visible()


def test_all_can_be_done_with_the_keyboard_and_the_focus_is_seen(opened: Open) -> None:
    with opened() as page:
        write(page, TEXT)
        page.keyboard.press("Alt+3")
        expect(page.locator("#tab-cost")).to_be_focused()
        for _ in range(2):
            page.keyboard.press("ArrowLeft")
        expect(page.locator("#tab-diagram")).to_be_focused()
        for _ in range(5):
            page.keyboard.press("Tab")
        expect(page.locator("#diagram g.node").first).to_be_focused()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(page.locator("#text .cm-content")).to_be_focused()
        assert selected(page) == "conv(filters=4, kernel=3)"
        page.keyboard.press("Alt+5")
        page.keyboard.press("?")
        expect(page.locator("#shortcuts")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#shortcuts")).to_be_hidden()
        page.keyboard.press("Alt+0")
        expect(page.locator("#text .cm-content")).to_be_focused()


def test_every_stop_of_the_tab_key_shows_where_it_is(opened: Open) -> None:
    with opened() as page:
        page.locator("#tab-explore").click()
        expect(page.locator("#explore tbody tr")).to_have_count(5)
        page.locator("h1").click()  # the next stop is the first one behind it
        seen = set()
        for _ in range(80):
            page.keyboard.press("Tab")
            stop = page.evaluate(
                """() => {
                  const at = document.activeElement;
                  if (at === document.body) return null;
                  // The editor's frame shows its focus for it.
                  const shown = at.closest("#text") ?? at;
                  const { outlineStyle, boxShadow } = getComputedStyle(shown);
                  const name = at.id || at.name || at.textContent.slice(0, 30) || at.className;
                  return [name, outlineStyle !== "none" || boxShadow !== "none"];
                }"""
            )
            if stop is None:
                break
            name, visible = stop
            assert visible, name
            seen.add(name)
        assert {"save", "theme", "space", "tab-explore", "up"} <= seen


@pytest.mark.parametrize("width", [390, 1280])
def test_no_view_is_wider_than_the_window(opened: Open, width: int) -> None:
    with opened(viewport={"width": width, "height": 844}) as page:
        write(page, TEXT)
        for name in TABS:
            page.locator(f"#tab-{name}").click()
            expect(page.locator(f"#{name}")).to_be_visible()
            if name == "explore":
                expect(page.locator("#explore tbody tr")).to_have_count(5)
            assert page.evaluate("document.documentElement.scrollWidth") == width, name
        for name in ("save", "theme", "keys"):
            expect(page.locator(f"#{name}")).to_be_in_viewport()


def test_fingers_find_every_control_on_a_phone(opened: Open) -> None:
    """44 pixels a side (WCAG 2.5.5); a label that holds a checkbox counts with it."""
    small = """() => [...document.querySelectorAll("button, select, input, [role=tab]")]
        .filter((one) => one.offsetParent && !["checkbox", "file"].includes(one.type))
        .map((one) => [one.textContent || one.name, one.getBoundingClientRect()])
        .filter(([, box]) => box.height < 43.5 || box.width < 43.5)
        .map(([name, box]) => `${name} ${box.width} ${box.height}`)"""
    with opened(viewport={"width": 390, "height": 844}, has_touch=True) as page:
        write(page, TEXT)
        for name in TABS:
            page.locator(f"#tab-{name}").click()
            expect(page.locator(f"#{name}")).to_be_visible()
            assert page.evaluate(small) == [], name


def test_what_is_left_of_a_long_line_stands_behind_its_beginning(opened: Open) -> None:
    with opened(viewport={"width": 390, "height": 844}) as page:
        layer = " conv(filters=4, kernel=3, stride=1, padding=same, activation=relu)"
        write(page, f"input\n    {layer.strip()}{layer}\n  flatten dense output")
        lefts = page.evaluate(
            """() => {
                const line = document.querySelectorAll("#text .cm-line")[1];
                const range = document.createRange();
                range.selectNodeContents(line);
                const boxes = [...range.getClientRects()].filter((box) => box.width > 1);
                const top = Math.min(...boxes.map((box) => box.top));
                const edge = line.getBoundingClientRect().left;
                const first = boxes.filter((box) => box.top < top + 4);
                const rest = boxes.filter((box) => box.top >= top + 4);
                return [first, rest].map((some) => Math.min(...some.map((box) => box.left)) - edge);
            }"""
        )
        first, rest = lefts
        assert rest > first + 20


def test_it_is_dark_where_the_system_is_or_where_one_says_so(opened: Open) -> None:
    def ground(page: Page) -> int:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return max(int(part) for part in re.findall(r"\d+", colour)[:3])

    with opened(color_scheme="dark") as page:
        assert ground(page) < 64
        page.locator("#theme").select_option("light")
        assert ground(page) > 192
        page.reload()
        expect(page.locator("body")).to_have_attribute("data-ready", "")
        assert ground(page) > 192
    with opened(color_scheme="light") as page:
        assert ground(page) > 192
        page.locator("#theme").select_option("dark")
        assert ground(page) < 64


def test_a_long_network_scrolls_and_zooms_about_the_pointer(opened: Open) -> None:
    long = "input" + " conv(stride=1, padding=same)" * 300 + " flatten dense output"
    with opened() as page:
        write(page, long)
        scroller = page.locator("#diagram .scroller")
        expect(page.locator("#diagram g.node")).to_have_count(303)
        box = page.locator("#diagram g.node").nth(150)
        box.scroll_into_view_if_needed()
        before = box.bounding_box()
        assert before is not None
        page.mouse.move(before["x"] + 5, before["y"] + 5)
        page.keyboard.down("Control")
        page.mouse.wheel(0, -200)
        page.keyboard.up("Control")
        expect(page.locator("#diagram .zoom")).not_to_have_text("40 %")
        after = box.bounding_box()
        assert after is not None
        assert after["width"] > 1.3 * before["width"]
        assert abs(after["x"] - before["x"]) < 12
        assert abs(after["y"] - before["y"]) < 12
        assert scroller.evaluate(
            "at => at.scrollHeight * at.scrollWidth > 2 * at.clientHeight * at.clientWidth"
        )
        page.locator("#diagram button", has_text="Fit").click()
        expect(page.locator("#diagram .zoom")).to_have_text("40 %")


def test_when_the_studio_ends_the_page_says_so(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page()
    with serving(cwd=tmp_path) as ending:
        page.goto(ending.address)
        expect(page.locator("body")).to_have_attribute("data-ready", "")
        expect(page.locator("#lost")).to_be_hidden()
    page.locator("#text .cm-content").click()
    page.keyboard.type(" ")
    expect(page.locator("#lost")).to_be_visible()
    page.close()

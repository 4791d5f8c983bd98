"""What only a browser can tell of the pages."""

import functools
import json
import runpy
from pathlib import Path

import pytest

from hwnas import experiments
from hwnas.experiments import output
from hwnas.experiments.experiment import parse
from hwnas.search.report import compare_page, search_page, transfer_page

pytestmark = pytest.mark.slow

SAMPLES = Path(__file__).parents[1] / "search" / "report" / "samples"
PAGES = {
    "transfer": transfer_page,
    "search": search_page,
    "search3": search_page,
    "compare": compare_page,
    "compare3": compare_page,
}
EVIL = '</script><img src=x onerror="window.hacked=1"><b>%{x}</b>&lt;i>'


def sample(name):
    return json.loads((SAMPLES / f"{name}.json").read_text())


@functools.cache
def page(name):
    return PAGES[name](sample(name))


@functools.cache
def page_of_many_platforms():
    make = runpy.run_path(str(SAMPLES / "make.py"))
    return transfer_page(make["transfer_sample"](tuple(make["PLATFORMS"]), samples=0, resamples=0))


def wait(browser, script, *arguments):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 30).until(lambda b: b.execute_script(script, *arguments))


def draw_all(browser):
    """Bring every figure near, so that it is drawn; return how many there are."""
    plots = browser.execute_script(
        "return [...document.querySelectorAll('[data-figure]')].filter((p) => p.offsetParent)"
    )
    for plot in plots:
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", plot)
        wait(browser, "return arguments[0].querySelector('.main-svg .xaxislayer-above text') !== null", plot)
    return len(plots)


def complaints(browser):
    return [entry for entry in browser.get_log("browser") if entry["level"] in {"SEVERE", "WARNING"}]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_draws_everything_fetches_nothing_follows_the_theme_and_fits_a_phone(show, name):
    browser = show(page(name))
    assert draw_all(browser) >= 2
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0

    colour = "return document.querySelector('.xtick text').style.fill"
    light = browser.execute_script(colour)
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    wait(browser, f"{colour} !== arguments[0]", light)

    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    wait(browser, "return document.documentElement.scrollWidth === 390")
    assert complaints(browser) == []


def most_alone(browser, figure, curve):
    """Return the point of a curve that is farthest from all others: the mouse shows whichever is nearest."""
    return browser.execute_script(
        """
        const plot = document.querySelector(`[data-figure="${arguments[0]}"]`);
        const {xaxis, yaxis} = plot._fullLayout, mine = plot.data[arguments[1]];
        const place = (trace, i) => [xaxis.d2p(trace.x[i]), yaxis.d2p(trace.y[i])];
        const others = (i) => plot.data.flatMap((trace) => [...trace.x].map((_, j) => [trace, j]))
            .filter(([trace, j]) => trace !== mine || j !== i).map(([trace, j]) => place(trace, j));
        const apart = (i, [x, y]) => Math.hypot(x - place(mine, i)[0], y - place(mine, i)[1]);
        const alone = (i) => Math.min(...others(i).map((one) => apart(i, one)).filter((distance) => !isNaN(distance)));
        return [...mine.x].map((_, i) => i).reduce((best, i) => alone(i) > alone(best) ? i : best);
        """,
        figure,
        curve,
    )


def hover(browser, figure, curve, point):
    """Put the mouse on a point; return what is shown beside it."""
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.actions.action_builder import ActionBuilder

    x, y = browser.execute_script(
        """
        const plot = document.querySelector(`[data-figure="${arguments[0]}"]`);
        const {xaxis, yaxis} = plot._fullLayout, trace = plot.data[arguments[1]], box = plot.getBoundingClientRect();
        const x = xaxis._offset + xaxis.d2p(trace.x[arguments[2]]);
        const y = yaxis._offset + yaxis.d2p(trace.y[arguments[2]]);
        return [box.x + x, box.y + y];
        """,
        figure,
        curve,
        point,
    )
    ActionChains(browser).move_by_offset(0, 0).perform()
    mouse = ActionBuilder(browser)
    mouse.pointer_action.move_to_location(int(x) - 3, int(y)).move_to_location(round(x), round(y))
    mouse.perform()
    wait(browser, "return document.querySelector('.hovertext text') !== null")
    return browser.execute_script("return document.querySelector('.hovertext').textContent")


def trace_named(browser, figure, name):
    plot = "document.querySelector(`[data-figure='${arguments[0]}']`)"
    return browser.execute_script(f"return {plot}.data.findIndex((t) => t.name === arguments[1])", figure, name)


def test_hover_shows_the_config_and_the_measurement(show):
    result = sample("transfer")
    browser = show(page("transfer"))
    draw_all(browser)
    browser.execute_script("document.querySelector('#front-0').scrollIntoView({block: 'center'})")
    curve = trace_named(browser, "front-0", "front of A")
    point = most_alone(browser, "front-0", curve)
    number = browser.execute_script(
        "return document.querySelector('[data-figure=front-0]').data[arguments[0]].customdata[arguments[1]]",
        curve,
        point,
    )
    shown = hover(browser, "front-0", curve, point).replace("\u00a0", " ")
    row = result["rows"][number]
    depths = " ".join(map(str, row["config"]["d"]))
    assert f"d: {depths}" in shown
    assert f"top1 {row['quality']:.2f} % (predicted)" in shown
    assert f"A: {row['latency_ms'][0]:.3g} ms" in shown


@pytest.mark.parametrize("name", ["transfer", "search", "compare"])
def test_hostile_names_stay_text(show, name):
    text = json.dumps(sample(name))
    result = json.loads(text)
    names = [result.get(field) for field in ("platform", "study", "algorithm", "supernet")]
    names += result.get("platforms", []) + [one["name"] for one in result.get("algorithms", [])]
    for number, known in enumerate(known for known in names if known):
        text = text.replace(json.dumps(known), json.dumps(EVIL + str(number)))
    browser = show(PAGES[name](json.loads(text)))
    draw_all(browser)
    assert browser.execute_script("return window.hacked") is None
    assert browser.execute_script("return document.querySelectorAll('img, iframe').length") == 0
    assert EVIL in browser.execute_script("return document.body.innerText")
    assert complaints(browser) == []


def test_hostile_names_stay_text_in_legends_and_hover(show):
    text = json.dumps(sample("compare")).replace('"nsga2"', json.dumps(EVIL))
    browser = show(compare_page(json.loads(text)))
    draw_all(browser)
    legend = browser.execute_script("return [...document.querySelectorAll('.legendtext')].map((t) => t.textContent)")
    assert EVIL in [entry.replace("\u00a0", " ") for entry in legend]
    result = sample("search")
    result["evaluations"][result["front"][0]]["config"]["d"] = [EVIL]
    browser = show(search_page(result))
    draw_all(browser)
    browser.execute_script("document.querySelector('figure').scrollIntoView({block: 'center'})")
    curve = trace_named(browser, "front-0-1", "front")
    point = browser.execute_script(
        "return document.querySelector('[data-figure]').data[arguments[0]].customdata.indexOf(arguments[1])",
        curve,
        result["front"][0],
    )
    shown = hover(browser, "front-0-1", curve, point).replace("\u00a0", " ")
    assert "<img src=x" in shown
    assert "%{x}</b>&lt;i>" in shown
    assert browser.execute_script("return window.hacked") is None


def test_of_many_figures_one_is_chosen_by_keyboard(show):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser = show(page_of_many_platforms())

    def visible():
        return browser.execute_script(
            "return [...document.querySelectorAll('figure[id^=front]')].filter((f) => f.offsetParent).map((f) => f.id)"
        )

    assert visible() == ["front-0"]
    browser.find_element(By.CSS_SELECTOR, "[data-chooser]").send_keys(Keys.ARROW_DOWN)
    assert visible() == ["front-1"]
    wait(browser, "return document.querySelector('#front-1 .main-svg') !== null")
    assert complaints(browser) == []


def test_by_keyboard_one_skips_to_the_content_and_takes_the_front_along_as_json(show):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser = show(page("search"))
    ActionChains(browser).send_keys(Keys.TAB).perform()
    assert browser.execute_script("return document.activeElement.className") == "skip"
    browser.execute_script(
        "URL.createObjectURL = (blob) => { blob.text().then((text) => { window.taken = text; }); return '#'; };"
    )
    browser.find_element(By.CSS_SELECTOR, "[data-download]").send_keys(Keys.ENTER)
    taken = json.loads(wait(browser, "return window.taken"))
    result = sample("search")
    assert sorted(one["index"] for one in taken) == sorted(result["front"])
    assert taken[0]["config"] == result["evaluations"][taken[0]["index"]]["config"]


def test_without_the_drawing_library_the_page_says_where_the_numbers_are(show, browser):
    script = {"source": "delete window.DecompressionStream"}
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", script)
    try:
        show(page("search"), ready=False)
        wait(browser, "return document.querySelector('.plot').textContent.includes('the table below holds the same')")
        assert browser.execute_script("return document.querySelectorAll('table').length") > 2
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def test_a_platform_that_is_switched_off_is_gone_everywhere(show):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser = show(page("transfer"))
    draw_all(browser)
    boxes = browser.find_elements(By.CSS_SELECTOR, "[data-filter]")
    assert len(boxes) == len(sample("transfer")["platforms"])

    def cells():
        cells = "[...document.querySelector('.heat').querySelectorAll('tbody td')]"
        return browser.execute_script(f"return {cells}.filter((cell) => cell.offsetParent).length")

    def curves():
        plot = "document.querySelector('[data-figure=front-0]')"
        return browser.execute_script(f"return {plot}.data.filter((t) => t.visible !== false).map((t) => t.name)")

    assert cells() == 9
    assert "front of B" in curves()
    boxes[1].send_keys(Keys.SPACE)
    assert cells() == 4
    assert "front of B" not in curves()
    shown = "return [...document.querySelectorAll('figure[data-p]')].filter((f) => f.offsetParent).map((f) => f.id)"
    assert not [figure for figure in browser.execute_script(shown) if "1" in figure.split("-")[1:]]
    boxes[1].send_keys(Keys.SPACE)
    assert cells() == 9
    assert "front of B" in curves()
    assert complaints(browser) == []


def test_where_the_chosen_figure_is_switched_off_another_takes_its_place(show):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    browser = show(page_of_many_platforms())
    shown = "return [...document.querySelectorAll('figure[id^=front]')].filter((f) => f.offsetParent).map((f) => f.id)"
    assert browser.execute_script(shown) == ["front-0"]
    boxes = browser.find_elements(By.CSS_SELECTOR, "[data-filter]")
    boxes[0].send_keys(Keys.SPACE)
    assert browser.execute_script(shown) == ["front-1"]
    boxes[0].send_keys(Keys.SPACE)
    assert browser.execute_script(shown) == ["front-1"]
    assert complaints(browser) == []


EXPERIMENT = """
title = "Mine?"
kind = "compare"
evals = 12
seeds = 2
thresholds_by = ["random"]
draw = ["thresholds", "curves", "surfaces", "progress", "times"]

[problems.mine]
supernet = "ofa-mbv3-w1.0"
objectives = ["macs", "quality"]
quality = "surrogate"
stands_in = "<b>a surrogate</b> stands in"

[algorithms.random]
algorithm = "random"

[algorithms."<i>nsga2</i>"]
algorithm = "nsga2"

[[claims]]
says = "NSGA-II is better"
order = ["<i>nsga2</i>", "random"]
by = "hypervolume"
"""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return output.page(experiments.run(parse(EXPERIMENT, "mine"), tmp_path_factory.mktemp("out"), workers=1))


def test_of_an_experiment_everything_is_drawn_and_the_stand_in_comes_first(show, experiment):
    browser = show(experiment)
    assert draw_all(browser) >= 4
    first = browser.execute_script("return document.querySelector('header').innerText").split("\n")
    assert any("<b>a surrogate</b> stands in" in line for line in first[:3])
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert browser.execute_script("return [...document.querySelectorAll('th')].some((t) => t.innerText === 'verdict')")
    assert complaints(browser) == []


def test_an_experiment_fits_a_phone(show, experiment):
    browser = show(experiment, width=390, theme="dark")
    assert browser.execute_script("return document.documentElement.scrollWidth") == 390

"""What only a browser can tell of the pages."""

import csv
import functools
import io
import json

import pytest
from sample_pages import PAGES, sample, transfer_of_many_platforms

from hwnas import experiments
from hwnas.experiments import output
from hwnas.experiments.experiment import parse
from hwnas.search.report import (
    compare_page,
    profile_page,
    search_page,
    transfer_page,
)

pytestmark = pytest.mark.slow

OF_ONE_FIGURE = ("evaluate", "table_check", "training")
EVIL = '</script><img src=x onerror="window.hacked=1"><b>%{x}</b>&lt;i>'


@functools.cache
def page(name):
    return PAGES[name](sample(name))


@functools.cache
def page_of_many_platforms():
    return transfer_page(transfer_of_many_platforms(samples=0))


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
    assert draw_all(browser) >= (1 if name in OF_ONE_FIGURE else 2)
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


# --- tables ----------------------------------------------------------------------------------------------------------

TABLE = "const table = document.querySelector('#h-networks').parentElement.querySelector('table.data');"


def with_keys():
    result = sample("search")
    for one in result["evaluations"]:
        one["key"] = f"k{one['index']}"
    return result


def column(browser, label):
    return browser.execute_script(
        TABLE + "return [...table.tBodies[0].rows].map((row) => [...row.cells].find("
        "(cell) => cell.dataset.label === arguments[0]).innerText.trim())",
        label,
    )


def test_a_table_sorts_by_numbers_and_by_words(show):
    browser = show(search_page(with_keys()))
    browser.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert column(browser, "front") == [str(place) for place in range(1, 31)]
    press = TABLE + "[...table.tHead.querySelectorAll('button')].find((b) => b.textContent === arguments[0]).click()"
    browser.execute_script(press, "evaluation")
    found = [int(one) for one in column(browser, "evaluation")]
    assert found == sorted(found)
    browser.execute_script(press, "evaluation")
    assert [int(one) for one in column(browser, "evaluation")] == found[::-1]
    state = "return [...table.tHead.rows[0].cells].map((head) => head.getAttribute('aria-sort'))"
    assert browser.execute_script(TABLE + state).count("descending") == 1
    browser.execute_script(press, "key")
    assert column(browser, "key") == [f"k{one}" for one in found]


def test_a_table_is_copied_and_downloaded_as_it_was_found(show):
    browser = show(search_page(with_keys()))
    taken = browser.execute_async_script(
        TABLE
        + """
        const done = arguments[arguments.length - 1], found = {};
        navigator.clipboard.writeText = async (text) => { found.text = text; };
        const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => { blob.text().then((text) => { found.csv = text; }); return make(blob); };
        HTMLAnchorElement.prototype.click = function () { found.name = this.download; };
        const tools = table.parentElement.previousElementSibling.querySelectorAll("button");
        tools.forEach((one) => one.click());
        table.querySelector("td button").click();
        setTimeout(() => done(found), 500);
        """
    )
    header, first, *rest = csv.reader(io.StringIO(taken["csv"]))
    assert header[:3] == ["front", "evaluation", "latency (ms)"]
    assert (first[0], len(rest)) == ("1", 29)
    assert float(first[2]) == with_keys()["evaluations"][int(first[1])]["objectives"]["latency"]
    assert taken["name"] == "The-front.csv"
    assert taken["text"] == "hwnas export first --front 1 --onnx front-1"


def test_a_table_on_a_phone_is_a_list_that_says_what_each_value_is(show):
    browser = show(search_page(with_keys()), width=390)
    browser.execute_script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    look = "const cell = table.tBodies[0].rows[0].cells[2]; const region = table.parentElement;"
    said, width, inside = browser.execute_script(
        TABLE
        + look
        + "return [getComputedStyle(cell, '::before').content, document.documentElement.scrollWidth, "
        + "region.scrollWidth <= region.clientWidth]"
    )
    assert (said.strip('"'), width, inside) in {("latency (ms)", 390, True), ("attr(data-label)", 390, True)}


def measured(key, platform, value, status="ok"):
    """Return a measurement as the JSON of ``hwnas profile`` has it."""
    failed = status == "failed"
    return {
        "supernet": "toy",
        "key": key,
        "config": {"w": [1]},
        "platform": platform,
        "status": status,
        "reason": "it did not run" if failed else "",
        "latency_ms": {"value": value, "statistic": "trimmed mean", "n": 0 if failed else 3}
        | {"ci_low": None if failed else value * 0.9, "ci_high": None if failed else value * 1.1},
        "macs": 2_000_000,
        "params": 1_000_000,
        "disturbed": None if failed else 0.0,
        "samples": None if failed else {"at_ns": [1, 2, 3]},
        "samples_ms": None if failed else [value] * 3,
        "samples_disturbed": None if failed else [False, False, True],
        "protocol": {},
        "context": None,
    }


def profile_result():
    rows = [measured("aaa", "torch", 1.0), measured("bbb", "torch", 2.0), measured("aaa", "onnxruntime", 3.0)]
    rows.append(measured("bbb", "onnxruntime", None, "failed"))
    return {"environment": {}, "measurements": rows}


def test_the_page_of_a_profile_draws_networks_by_platforms_and_names_every_network(show):
    browser = show(profile_page(profile_result()))
    assert draw_all(browser) == 3
    drawn = "return document.querySelector(`[data-figure='${arguments[0]}']`).data"
    chart = browser.execute_script(drawn, "side-by-side")
    assert [(one["name"], one["x"]) for one in chart if one.get("customdata")] == [
        ("torch", [1, 2]),
        ("onnxruntime", [3, None]),
    ]
    legend = "return [...document.querySelectorAll(`[data-figure='${arguments[0]}'] .legendtext`)]"
    legend += ".map((entry) => entry.textContent)"
    assert browser.execute_script(legend, "samples1") == ["aaa", "bbb (failed)"]
    assert complaints(browser) == []

"""Pages as text: what a browser is not needed for."""

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest
from sample_pages import PAGES, sample, transfer_of_many_platforms

from hwnas.search.report import (
    compare_page,
    predictors_page,
    search_page,
    transfer_page,
)
from hwnas.search.report.page import json_in_script, whole_options
from hwnas.search.report.search_figures import projection
from hwnas.search.report.study_view import StudyView
from hwnas.search.report.transfer_figures import effect_figure


def hostile(result, evil):
    """The result with every platform's, study's and algorithm's name replaced by an evil one; each still its own."""
    text = json.dumps(result)
    names = [result.get(field) for field in ("platform", "study", "algorithm", "supernet")]
    names += result.get("platforms", []) + [one["name"] for one in result.get("algorithms", [])]
    for number, name in enumerate(name for name in names if name):
        text = text.replace(json.dumps(name), json.dumps(evil + str(number)))
    return json.loads(text)


class Outline(HTMLParser):
    """The elements of a page, with their attributes and texts."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.text, self._inside = [], {}, None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = (tag, dict(attrs).get("id"))

    def handle_data(self, data):
        self.text[self._inside] = self.text.get(self._inside, "") + data

    def handle_endtag(self, tag):
        self._inside = None

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(params=PAGES, scope="module")
def page(request):
    return PAGES[request.param](sample(request.param))


def test_a_page_needs_nothing_from_elsewhere(page):
    outline = Outline(page)
    assert [link["href"] for link in outline.all("link")] == ["data:,"]
    for tag in ("img", "iframe", "object", "embed", "source", "video", "base", "form"):
        assert not outline.all(tag)
    assert not any("src" in attributes for _, attributes in outline.elements)
    assert "url(" not in re.search(r"<style>(.*?)</style>", page, re.DOTALL).group(1)
    assert len(page) < 3_000_000


def test_only_the_two_scripts_that_the_policy_names_can_run(page):
    outline = Outline(page)
    policy = next(meta["content"] for meta in outline.all("meta") if meta.get("http-equiv"))
    running = [attributes for attributes in outline.all("script") if "type" not in attributes]
    own = outline.text[("script", None)]
    plotly = gzip.decompress(base64.b64decode(outline.text[("script", "plotly")]))
    hashes = [base64.b64encode(hashlib.sha256(text).digest()).decode() for text in (own.encode(), plotly)]
    assert len(running) == 1
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy.partition("style-src")[0]
    assert "unsafe-eval" not in policy


def test_no_element_handles_events_by_attribute(page):
    assert not [name for _, attributes in Outline(page).elements for name in attributes if name.startswith("on")]


def test_every_figure_is_described_and_the_data_are_there_for_each(page):
    outline = Outline(page)
    figures = json.loads(outline.text[("script", "data")])["figures"]
    drawn = [attributes for _, attributes in outline.elements if "data-figure" in attributes]
    assert [attributes["data-figure"] for attributes in drawn] == list(figures)
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in drawn)


def test_figures_are_valid_plotly(page):
    import plotly.graph_objects as go

    text = Outline(page).text[("script", "data")]
    # Colours by role are the page's own; everything else must be what Plotly knows.
    figures = json.loads(re.sub(r'"@[a-z0-9]+"', '"#123456"', text))["figures"]
    for figure in figures.values():
        go.Figure(figure)


def test_colours_by_role_are_all_defined_in_both_themes(page):
    roles = set(re.findall(r'"@([a-z0-9]+)"', Outline(page).text[("script", "data")]))
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL).group(1)
    light, dark = style.split("prefers-color-scheme: dark", 1)
    assert roles
    assert all(f"--{role}:" in theme for role in roles for theme in (light, dark))


def test_every_figure_has_its_table(page):
    cards = re.findall(r'<figure class="card" id="[^"]+"[^>]*>(.*?)</figure>', page, re.DOTALL)
    assert cards
    # The smallest has a row for each of three kinds of choices.
    assert all(card.count("<tr>") > 3 for card in cards)


@pytest.mark.parametrize("name", PAGES)
def test_the_same_result_gives_the_same_page(name):
    assert PAGES[name](sample(name)) == PAGES[name](sample(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(
    "evil", ["</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "<!--<script>", "{{7*7}}\u2028"]
)
def test_hostile_names_stay_text(name, evil):
    result = sample(name)
    plain, attacked = Outline(PAGES[name](result)), Outline(PAGES[name](hostile(result, evil)))
    assert [tag for tag, _ in plain.elements] == [tag for tag, _ in attacked.elements]
    assert [sorted(attributes) for _, attributes in plain.elements] == [
        sorted(attributes) for _, attributes in attacked.elements
    ]
    assert any(evil.strip() in text for text in attacked.text.values())


@pytest.mark.parametrize("text", ["</script>", "<!--", "a & b", "\u2028\u2029", "\u00e4\U0001f600"])
def test_json_in_a_script_reads_back_and_holds_no_markup(text):
    written = json_in_script({"name": text})
    assert json.loads(written) == {"name": text}
    assert not set("<>&\u2028\u2029") & set(written)


def test_no_line_ends_within_an_option_and_nothing_else_becomes_markup():
    shown = whole_options("<b>use --effort thorough, or --final-front 3 -- not -x</b>")
    whole = '<span class="option">{}</span>'.format
    expected = f"use {whole('--effort')} thorough, or {whole('--final-front')} 3 -- not -x"
    assert shown.__html__() == f"&lt;b&gt;{expected}&lt;/b&gt;"


def test_a_prediction_is_called_one():
    result = sample("transfer")
    assert "top1 is predicted, not measured" in transfer_page(result)
    measured = transfer_page(result | {"quality": result["quality"] | {"predicted": False}})
    assert "predicted" not in re.sub(r"<script.*?</script>", "", measured, flags=re.DOTALL)


def test_the_contracts_fields_alone_are_enough_for_a_transfer_page():
    fields = (
        "schema",
        "platforms",
        "n_shared",
        "kendall_tau",
        "spearman",
        "hypervolume_ratio",
        "front_overlap",
        "regret",
        "samples_to_adapt",
    )
    page = transfer_page({field: sample("transfer")[field] for field in fields})
    assert "Kendall tau" in page
    assert "data-figure" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def test_the_contracts_fields_alone_are_enough_for_a_search_page():
    fields = (
        "schema",
        "study",
        "supernet",
        "platform",
        "algorithm",
        "seed",
        "objectives",
        "front",
        "hypervolume",
        "time_s",
    )
    result = {field: sample("search")[field] for field in fields}
    kept = ("index", "iteration", "config", "objectives", "status")
    result["evaluations"] = [{field: one[field] for field in kept} for one in sample("search")["evaluations"]]
    assert "150 evaluations found a front" in search_page(result)


@pytest.mark.parametrize(
    ("fresh", "said"), [(True, "all fronts were measured anew"), (False, "flatters the own front")]
)
def test_how_the_own_front_was_measured_is_said(fresh, said):
    result = sample("transfer")
    assert said in transfer_page(result | {"settings": result["settings"] | {"fresh": fresh}})


def test_what_failed_and_what_did_not_settle_is_said():
    page = transfer_page(sample("transfer"))
    assert "1 failed (left out)" in page
    assert "out of memory" in page


@pytest.mark.slow
def test_many_platforms_are_chosen_from_a_list():
    result = transfer_of_many_platforms(samples=10)
    outline = Outline(transfer_page(result))
    options = [attributes["value"] for attributes in outline.all("option")]
    figures = [attributes["id"] for attributes in outline.all("figure") if "id" in attributes]
    assert len(options) == 4 + 4 + 6
    assert set(options) == set(figures) - {"effects"}  # of which there is one only


def test_a_real_study_has_a_page():
    from hwnas import supernets
    from hwnas.search.study.run import search

    net = supernets.get("ofa-mbv3-w1.0")
    study = search(net, objectives=["macs", "top1"], constraints=["macs<=300M"], algorithm="random", evals=20, seed=0)
    page = search_page(study.to_json())
    growth = json.loads(Outline(page).text[("script", "data")])["figures"]["growth"]["data"][0]["y"]
    assert len(growth) == len(study.archive)
    assert growth[-1] == pytest.approx(study.hypervolume, rel=1e-6)
    assert growth == sorted(growth)
    assert f"a front of {len(study.front)} sub-networks" in page
    assert "macs&lt;=300M" in page


@pytest.mark.parametrize("objectives", [["macs", "top1"], ["macs", "params", "top1"]])
def test_a_study_without_a_front_says_so(objectives):
    from hwnas import supernets
    from hwnas.search.study.run import search

    net = supernets.get("ofa-mbv3-w1.0")
    study = search(net, objectives=objectives, constraints=["top1>=99%"], algorithm="random", evals=5, seed=0)
    assert "found no sub-network that meets what was asked for" in search_page(study.to_json())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stopped": "interrupted"}, "It was interrupted after 150 evaluations"),
        ({"stopped": "", "effort": "quick"}, "It has 150 evaluations so far"),
    ],
)
def test_a_study_that_has_not_ended_says_so(changes, said):
    page = search_page(sample("search") | changes)
    assert "This study has not ended." in page
    assert said in page


@pytest.mark.parametrize(
    "changes",
    [{}, {"stopped": "all 150 evaluations are done"}, {"effort": "quick", "final": {}}, {"effort": "thorough"}],
)
def test_a_study_that_has_ended_does_not(changes):
    assert "has not ended" not in search_page(sample("search") | changes)


def test_the_fronts_numbers_are_those_of_export():
    """The best of the first objective is number 1, whichever way is better."""
    result = sample("search")
    for up in (False, True):
        turned = result | {"objectives": result["objectives"][::-1] if up else result["objectives"]}
        first = turned["objectives"][0]["name"]
        values = [result["evaluations"][index]["objectives"][first] for index in StudyView(turned).front]
        assert values == sorted(values, reverse=up)


def test_a_name_in_a_command_is_quoted():
    page = search_page(sample("search") | {"study": "my study; rm -rf"})
    assert "hwnas export &#39;my study; rm -rf&#39; --front 1" in page


def test_a_name_that_looks_like_an_option_is_none():
    page = search_page(sample("search") | {"study": "-x"})
    assert "hwnas export --front 1 --onnx front-1 -- -x" in page


def without_front(name):
    """A study of which no evaluation meets its constraint."""
    result = sample(name)
    evaluations = [one | {"violation": 0.5} for one in result["evaluations"]]
    return result | {"evaluations": evaluations, "front": [], "constraints": ["latency<=1ms"]}


def test_where_nothing_meets_the_constraints_the_page_draws_no_growth_and_explains_the_crosses():
    page = search_page(without_front("search"))
    assert re.search(r"\d+ evaluations, none of which meets the constraints: crosses\.", page)
    assert "A curve that is flat at the end" not in page


def test_crosses_among_others_are_explained():
    result = sample("search")
    off = next(index for index in range(150) if index not in result["front"])
    result["evaluations"][off]["violation"] = 0.5
    assert "of the front are outlined, the 1 beyond the constraints is a cross." in search_page(result)


def test_one_evaluation_is_no_plural():
    result = sample("search")
    page = search_page(result | {"evaluations": result["evaluations"][:1], "front": [0]})
    assert "1 evaluation found a front of 1 sub-network:" in page
    assert "1 evaluation, coloured by the iteration that proposed it; the 1 of the front is outlined." in page
    assert "1 sub-network, ready to be profiled by its key, or exported by its number" in page


@pytest.mark.parametrize("all_on_front", [False, True])
def test_the_colours_of_iterations_are_explained_once(all_on_front):
    result = sample("search")
    if all_on_front:
        result["evaluations"] = [result["evaluations"][index] | {"index": n} for n, index in enumerate(result["front"])]
        result["front"] = list(range(len(result["front"])))
    figure = projection(StudyView(result), 0, 1)
    shown = [trace["name"] for trace in figure.data if trace.get("marker", {}).get("showscale") and trace["x"]]
    assert shown == ["front" if all_on_front else "evaluation"]


def test_the_reference_point_has_units():
    assert "Hypervolume is counted from latency 5.214 ms, top1 72.65\u202f%" in search_page(sample("search")).replace(
        " %", "\u202f%"
    )
    assert re.search(r"Hypervolume is counted from [\w-]+ \S+ M, top1 \S+ %, the same", compare_page(sample("compare")))


def test_effects_that_are_not_known_are_no_figure():
    result = sample("transfer")
    unknown = [[None] * len(result["platforms"]) for _ in result["effects"]["names"]]
    assert effect_figure(result) is not None
    assert effect_figure(result | {"effects": result["effects"] | {"percent": unknown}}) is None


def test_one_algorithm_is_the_best_of_none():
    result = sample("compare")
    alone = result | {"algorithms": result["algorithms"][:1], "thresholds": []}
    name = alone["algorithms"][0]["name"]
    page = compare_page(alone)
    assert f"the hypervolume of {name} is" in page
    assert "largest" not in page


# --- predictors -------------------------------------------------------------------------------------------------------


def predictors_said(**taus):
    predictors = [{"kind": kind, "tau": [trials], "mape": [[1.0] * len(trials)]} for kind, trials in taus.items()]
    facts = {"supernet": "n", "target": "top1 (%)", "source": "s", "n_test": 5}
    return Outline(predictors_page(facts | {"sizes": [100], "predictors": predictors})).text


@pytest.mark.parametrize(
    ("taus", "said"),
    [
        (
            {"gp": [0.90, 0.91, 0.92], "ridge": [0.80, 0.81, 0.83]},
            "With 100 examples, gp ranks best: Kendall tau 0.910.",
        ),
        (
            {"gp": [0.90, 0.70, 0.92], "ridge": [0.80, 0.81, 0.83]},
            "With 100 examples, gp and ridge cannot be told apart over 3 trials: Kendall tau gp 0.840; ridge 0.813.",
        ),
        (
            {"gp": [0.90], "ridge": [0.80]},
            "With 100 examples, gp and ridge cannot be told apart over 1 trial: Kendall tau gp 0.900; ridge 0.800.",
        ),
        ({"gp": [-1.0]}, "With 100 examples, gp comes to Kendall tau -1.000."),
    ],
)
def test_a_predictor_is_called_best_where_the_trials_tell(taus, said):
    assert said in " ".join(predictors_said(**taus).values())


def test_predictors_whose_ranks_are_not_known_are_not_ranked():
    assert "ranks best" not in " ".join(predictors_said(gp=[None, None], ridge=[None, 0.2]).values())


def test_a_curve_says_that_it_is_of_what_was_measured_in_the_end():
    for together in (0, 12):
        page = compare_page(sample("compare") | ({"measured_together": together} if together else {}))
        assert ("how much of its front, as it was measured in full in the end" in page) == bool(together)

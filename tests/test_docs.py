"""What the documents say is so: generated ones are current, commands parse, links and make targets exist."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from benchmarks.report import filled, tables
from retail_ray.cli import main
from retail_ray.config_file import parse_site
from retail_ray.docs import documents

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
GENERATED = documents()

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def ids(path: Path) -> str:
    return path.name


def blocks(page: Path, *languages: str) -> list[str]:
    return [text for language, text in _FENCE.findall(page.read_text()) if language in languages]


def shell_lines(page: Path) -> list[list[str]]:
    """Words of every command in the shell blocks; continued lines joined, comments left out."""
    joined = "\n".join(blocks(page, "sh", "bash")).replace("\\\n", " ")
    return [words for line in joined.splitlines() if (words := shlex.split(line, comments=True))]


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    text = _FENCE.sub("", page.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(text)}


@pytest.mark.parametrize("name", GENERATED)
def test_generated_documents_are_current(name: str) -> None:
    assert (DOCS / name).read_text() == GENERATED[name], f"docs/{name} is out of date: run `make docs`"


def parse(command: click.Command, words: list[str]) -> None:
    """Raises click.UsageError where `retail-ray` would refuse these words; runs nothing."""
    by_itself = isinstance(command, click.Group) and command.invoke_without_command and words[0].startswith("-")
    if isinstance(command, click.Group) and not by_itself:
        name, found, rest = command.resolve_command(click.Context(command), list(words))
        assert found is not None, f"no command {name}"
        parse(found, rest)
    else:
        command.make_context(command.name, list(words))


COMMANDS = [(page, words[1:]) for page in PAGES for words in shell_lines(page) if words[0] == "retail-ray"]


@pytest.mark.parametrize(("page", "words"), COMMANDS, ids=[f"{p.name}: {shlex.join(w)}" for p, w in COMMANDS])
def test_commands_parse(page: Path, words: list[str]) -> None:
    parse(main, words)


def test_commands_are_found_and_wrong_ones_refused() -> None:
    """The check above can fail."""
    assert len([words for page, words in COMMANDS if page.name == "README.md"]) >= 5
    with pytest.raises(click.UsageError, match="No such option"):
        parse(main, ["run", "--site", "site.yaml", "--fast"])
    with pytest.raises(click.UsageError, match="No such command"):
        parse(main, ["models", "forget"])


def test_jobs_named_in_the_documents_take_their_options() -> None:
    """`python jobs/batch.py …` takes the options of `retail-ray run`, stream.py those of `retail-ray stream`."""
    jobs = {"jobs/batch.py": "run", "jobs/stream.py": "stream", "jobs/train_demo_models.py": "train-demo-models"}
    found = 0
    for page in PAGES:
        for words in shell_lines(page):
            for job in set(words) & set(jobs):
                assert (ROOT / job).is_file()
                parse(main, [jobs[job], *words[words.index(job) + 1 :]])
                found += 1
    assert found >= 2


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCE.sub("", page.read_text())):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{page.name}: {link} leads out of the repository"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.name}: {link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z][a-z-]*)", page.read_text()))
    named |= {words[1] for words in shell_lines(page) if words[0] == "make" and len(words) > 1}
    assert named <= targets, f"{page.name} names targets that the Makefile lacks: {sorted(named - targets)}"


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_files_in_code_type_exist(page: Path) -> None:
    """`retail_ray/…`, `jobs/…` and their like, wherever the text names one."""
    rooms = "retail_ray|jobs|serve_configs|notebooks|benchmarks|tests|docs"
    for name in re.findall(rf"`((?:{rooms})/[\w./-]+)`", page.read_text()):
        assert (ROOT / name).exists(), f"{page.name} names {name}, which does not exist"


def test_sites_in_the_documents_are_valid() -> None:
    """Every YAML block that begins a site is one; pieces of a site are not looked at here."""
    environment = {"CAMERA_USER": "u", "CAMERA_PASSWORD": "p", **os.environ}
    sites = [
        (page, block)
        for page in PAGES
        for block in blocks(page, "yaml")
        if "site" in yaml.safe_load(block) and "cameras" in yaml.safe_load(block)
    ]
    assert sites
    for page, block in sites:
        parse_site(block, page, environment)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_measured_tables_are_those_of_the_results(page: Path) -> None:
    text = page.read_text()
    assert filled(text, tables()) == text, f"{page.name}: run `python -m benchmarks.report --write`"


def test_every_measured_table_is_asked_for_and_a_changed_figure_found() -> None:
    """A block that no result fills would say for ever that nothing was measured."""
    made = tables()
    asked = re.findall("<!-- measured: (.+?) -->", "".join(page.read_text() for page in PAGES))
    assert set(made) == set(asked)
    readme = (ROOT / "README.md").read_text()
    assert made["accuracy"] in readme
    assert filled(readme.replace(made["accuracy"], "| 1.000 |\n"), made) == readme


def test_the_picture_of_the_page_is_small() -> None:
    assert (DOCS / "page.png").stat().st_size < 300_000

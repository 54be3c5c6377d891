"""The appendix in docs/ and the lessons agree: links, terms, symbols, numbers and sources."""

import re
import textwrap
import unicodedata
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *LESSONS]
LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.M | re.S)


@cache
def prose(path):
    """The Markdown of a page or of a notebook, without code blocks."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n\n".join(c.source for c in cells if c.cell_type == "markdown")
    return FENCE.sub("", text)


@cache
def shown(path):
    """All text of a page; of a notebook its code and what its cells printed, too."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    parts = []
    for cell in nbformat.read(path, as_version=4).cells:
        parts.append(cell.source)
        for output in cell.get("outputs", []):
            parts.append(output.get("text", ""))
            data = output.get("data", {})
            parts += [data.get(kind, "") for kind in ("text/plain", "text/markdown")]
    return "\n".join(parts)


def plain(markdown):
    """What is read of a line: without the marks of links, tags, code and emphasis."""
    return re.sub(r"<[^>]+>|[`*]", "", LINK.sub(r"\1", markdown))


@cache
def anchors(path):
    """Where a link may lead in JupyterLab and in the book: headings, with dashes for spaces."""
    found = re.findall(r"^#{1,6} +(.+?)\s*$", prose(path), re.M)
    return {plain(heading).replace(" ", "-") for heading in found}


def links(path):
    """The links of a page to files of the project: (what is read, file, anchor or '')."""
    for text, address in LINK.findall(prose(path)):
        if not re.match(r"\w+:", address):
            name, _, anchor = unquote(address).partition("#")
            yield text, (path.parent / name).resolve() if name else path, anchor


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    for text, file, anchor in links(path):
        assert file.exists(), f"[{text}] leads to {file}, which does not exist"
        if not anchor:
            continue
        known = anchors(file)
        if file.name == "README.md":  # read on a page that writes anchors in its own way
            known = {re.sub(r"[^\w-]", "", name).lower() for name in known}
        assert anchor in known, f"[{text}] leads to {file.name}#{anchor}, which is no heading"


def test_anchors_hold_on_every_page():
    """A linked heading of docs/ with capitals has an <a id>, as GitHub writes anchors in small."""
    linked = {(f, a) for path in PAGES for _, f, a in links(path) if f.parent == DOCS and a}
    assert len(linked) > 50
    for file, anchor in linked:
        assert anchor == anchor.lower() or f'<a id="{anchor}"></a>' in prose(file)


def test_readme_leads_to_the_appendix():
    reached = {file for _, file, _ in links(ROOT / "README.md")}
    assert set(DOCS.glob("*.md")) | {DOCS / "bibliography.bib"} <= reached


# Questions


def sections(path, level):
    """The heading and the text of each section of a level."""
    parts = re.split(rf"^{'#' * level} +(.+)$", prose(path), flags=re.M)[1:]
    return [
        (title, re.split(r"^#", text, flags=re.M)[0].strip())
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    ]


QUESTIONS = sections(DOCS / "questions.md", 3)


@pytest.mark.parametrize(("question", "answer"), QUESTIONS, ids=[q for q, _ in QUESTIONS])
def test_question_has_a_short_answer_that_a_lesson_shows(question, answer):
    assert question.endswith("?")
    lines = [part for line in plain_lines(answer) for part in textwrap.wrap(line, 100)]
    assert 0 < len(lines) <= 10
    files = [DOCS / unquote(address).split("#")[0] for _, address in LINK.findall(answer)]
    assert any(file.resolve() in LESSONS for file in files)
    there = " ".join(re.sub(r"\s+", " ", shown(file.resolve())) for file in files)
    for number in numbers(answer):
        assert re.search(rf"(?<![\d.]){re.escape(number)}(?![\d.]*\d)", there), f"{number}: where?"


def plain_lines(answer):
    """The paragraphs and list items of an answer, as they are read."""
    parts = re.split(r"\n\n|\n(?=- )", answer)
    return [plain(re.sub(r"\s+", " ", part)) for part in parts]


def numbers(answer):
    """The numbers in digits of an answer; those of lessons and years apart."""
    text = re.sub(r"\b[Ll]essons? \d\d|\b(19|20)\d\d\b", "", plain(answer))
    return re.findall(r"\d+(?:\.\d+)?%?", text)


def test_the_expected_questions_are_there():
    """Those of the course's plan, each by a word that no other question has to have."""
    asked = " ".join(question for question, _ in QUESTIONS).lower()
    for word in (
        "transfer learning", "algorithms", "applied", "how many datasets", "how many trials",
        "leave it alone", "harm", "not in the experience", "cheating", "deep learning",
        "regression", "metric",
    ):  # fmt: skip
        assert word in asked


# Glossary


def terms():
    """The entries of the glossary: (term, line below it, text)."""
    found = []
    for title, text in sections(DOCS / "glossary.md", 2):
        line, _, text = text.partition("\n\n")
        found.append((plain(title), line, text))
    return found


TERMS = terms()
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def test_terms_are_sorted_and_unique():
    names = [term.casefold() for term, _, _ in TERMS]
    assert names == sorted(set(names))
    assert len(names) > 90


@pytest.mark.parametrize(("term", "line", "text"), TERMS, ids=[term for term, _, _ in TERMS])
def test_term_is_complete(term, line, text):
    """An English and a Chinese name, the lesson that introduces it, one to three sentences."""
    assert re.match(r"[A-Za-z]", term)
    assert not CHINESE.search(term)
    chinese, lesson = line.split(" · ")
    assert CHINESE.search(chinese)
    form = r"\[lesson (\d\d)\]\(\.\./notebooks/(\d\d_\w+\.ipynb)(?:#.+)?\)"
    number, file = re.fullmatch(form, lesson).groups()
    assert file.startswith(number)
    assert (ROOT / "notebooks" / file).exists(), f"there is no lesson {number}"
    assert 1 <= len(re.findall(r"[.)](?=\s|$)", text)) <= 4
    assert text.endswith((".", ")"))


def test_chinese_names_are_unique():
    names = [line.split(" · ")[0] for _, line, _ in TERMS]
    assert len(set(names)) == len(names)


def test_lessons_link_each_term_where_it_is_introduced():
    home = {term.replace(" ", "-"): line.split("[lesson ")[1][:2] for term, line, _ in TERMS}
    linked = {term: [] for term in home}
    for path in LESSONS:
        for _, file, anchor in links(path):
            if file == DOCS / "glossary.md" and anchor in linked:
                linked[anchor].append(path.name[:2])
    elsewhere = {term: lesson for term, lesson in home.items() if lesson not in linked[term]}
    assert elsewhere == {}, "the lesson that introduces the term does not link to it"
    assert {t: at for t, at in linked.items() if len(at) > len(set(at))} == {}, "once a lesson"


# Notation

# Commands that are no symbol of their own
COMMANDS = {
    "Big", "Leftrightarrow", "approx", "arg", "bar", "big", "cdot", "dfrac", "dots", "exp", "frac",
    "ge", "hat", "in", "infty", "lVert", "ldots", "le", "left", "log", "lvert", "max", "mid", "min",
    "nabla", "ne", "neq", "partial", "prod", "propto", "qquad", "quad", "rVert", "right", "rvert",
    "sim", "sqrt", "sum", "tfrac", "tilde", "times", "to", "top",
}  # fmt: skip


def symbols(formula):
    """The letters of a formula, Greek ones by their command, without words and indices' commas."""
    formula = re.sub(r"\\(?:text|mathrm|mathbb|operatorname)\{[^}]*\}", " ", formula)
    commands = set(re.findall(r"\\([A-Za-z]+)", formula)) - COMMANDS
    letters = set(re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", formula)))
    return {f"\\{name}" for name in commands} | letters


def formulas(path):
    """All formulas of a page."""
    text = re.sub(r"`[^`\n]*`", "", prose(path))
    found = re.findall(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", text, re.S)
    return [a or b for a, b in found]


def notation():
    """For each lesson, the symbols that docs/notation.md lists for it."""
    listed = {}
    for row in re.findall(r"^\| (\$.+?) \| (.+) \| (.*) \|$", prose(DOCS / "notation.md"), re.M):
        for number in re.findall(r"\d\d", row[2]):
            for symbol in re.findall(r"\$([^$]+)\$", row[0]):
                listed.setdefault(number, set()).add(symbol)
    return listed


EULER = {"e"}  # the number, in every lesson


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_symbols_of_a_lesson_are_those_of_the_notation(path):
    used = set().union(*map(symbols, formulas(path))) - EULER if formulas(path) else set()
    listed = notation().get(path.name[:2], set())
    assert used - listed == set(), "symbols that docs/notation.md does not list for this lesson"
    assert listed - used == set(), "symbols that this lesson does not have"


def test_formulas_are_found():
    assert symbols(r"\log w_k = -\tfrac12 \lVert L^{-1} (z - M_k) \rVert^2") == set("wkLzM")
    assert symbols(r"\min_\phi \sum_{ij} w_{ij}\, d_\phi(x_i, x_j)") == {"\\phi", *"ijwdx"}
    assert sum(len(formulas(path)) for path in LESSONS) > 200


# Bibliography

NAME = r"(?:(?:van|der|de|da|von|Le) )*[A-Z][\w'’-]+"  # noqa: RUF001
MORE = rf"(?:(?:, {NAME})*,? (?:and|&) {NAME}| et al\.)?"
CITATION = re.compile(rf"({NAME}{MORE})(?: \(|, )((?:18|19|20)\d\d)(?=[;,)]|\b(?=\)))")
VENUE = {
    "article": "journal", "inproceedings": "booktitle", "incollection": "booktitle",
    "book": "publisher", "phdthesis": "school", "mastersthesis": "school",
    "techreport": "institution", "misc": "howpublished",
}  # fmt: skip


def bare(text):
    """A text in plain letters: without accents, braces and signs, in lower case."""
    text = unicodedata.normalize("NFKD", text.replace("ü", "ue"))
    text = re.sub(r"[^a-z0-9 ]", "", text.encode("ascii", "ignore").decode().lower())
    return re.sub(" +", " ", text)


def entries():
    """The entries of the bibliography: (key, kind, fields)."""
    text = (DOCS / "bibliography.bib").read_text(encoding="utf-8")
    found = []
    for kind, key, body in re.findall(r"^@(\w+)\{([\w-]+),\n(.*?)^\}$", text, re.M | re.S):
        fields = re.findall(r"^  (\w+) = \{(.*)\},$", body, re.M)
        assert len(fields) == len(body.splitlines()) == len(dict(fields)), key
        found.append((key, kind, dict(fields)))
    assert len(found) == text.count("\n@") == len({key for key, *_ in found})
    return found


ENTRIES = entries()


def families(fields):
    """The family names of the authors, or of the editors; the last may be 'others'."""
    people = fields.get("author") or fields["editor"]
    return [bare(name.split(",")[0]) for name in people.split(" and ")]


def cited(text):
    """The works that a text cites: (family name of the first author, year), and all names."""
    text = re.sub(r"[\n\s]+(?:#(?!#) )?", " ", text)
    for names, year in CITATION.findall(text):
        people = [bare(n) for n in re.split(r", (?:and |& )?| and | & | et al\.", names) if n]
        yield (people[0], year), people, "et al." in names


def sources():
    """What may cite: lessons, the library, the pages of docs/ and of the benchmarks."""
    for path in PAGES:
        yield path, prose(path)
    for path in [*ROOT.glob("metahpo_lite/*.py"), *ROOT.glob("benchmarks/*.py")]:
        yield path, path.read_text(encoding="utf-8")
    yield ROOT / "benchmarks/README.md", prose(ROOT / "benchmarks/README.md")


CITED = {}
for _path, _text in sources():
    for _work, *_names in cited(_text):
        CITED.setdefault(_work, []).append((_path, *_names))


WORKS = {}  # (family name of the first author, year): the entries; mostly one
for _key, _, _fields in ENTRIES:
    WORKS.setdefault((families(_fields)[0], _fields["year"]), []).append(_fields)


def means(people, others, fields):
    """Whether a citation names an entry: all its authors in order, or the first and 'et al.'."""
    real = families(fields)
    return people == real if not others else people == real[:1] and len(real) > 2


def test_citations_are_found():
    text = (
        "(Iman & Davenport, 1980; van der Waerden, 1952). Feurer et al. (2018), Kendall (1938), *A"
    )
    assert [work for work, *_ in cited(text)] == [
        ("iman", "1980"), ("van der waerden", "1952"), ("feurer", "2018"), ("kendall", "1938"),
    ]  # fmt: skip
    assert [work for work, *_ in cited("like (Fuernkranz &\n    Petrak, 2001)")] == [
        ("fuernkranz", "2001")
    ]
    assert len(CITED) > 80
    in_library = [w for w, where in CITED.items() if any(p.suffix == ".py" for p, *_ in where)]
    assert len(in_library) > 30


def test_every_citation_has_an_entry():
    """Of that year, with all these authors in this order, or with the first and 'et al.'."""
    missing = {
        (path.name, *people, work[1])
        for work, where in CITED.items()
        for path, people, others in where
        if not any(means(people, others, fields) for fields in WORKS.get(work, []))
    }
    assert missing == set()


@pytest.mark.parametrize(("key", "kind", "fields"), ENTRIES, ids=[key for key, *_ in ENTRIES])
def test_entry_is_complete(key, kind, fields):
    assert fields.get("author") or fields.get("editor")
    assert len(fields["title"]) > 10
    assert fields[VENUE[kind]]
    assert re.fullmatch(r"(18|19|20)\d\d", fields["year"])
    name = families(fields)[0].replace(" ", "") + fields["year"]
    alike = WORKS[families(fields)[0], fields["year"]]
    assert key == name + ("abc"[alike.index(fields)] if len(alike) > 1 else "")
    for value in fields.values():
        assert value.count("{") == value.count("}")
        assert value.strip() == value != ""


@pytest.mark.parametrize(("key", "kind", "fields"), ENTRIES, ids=[key for key, *_ in ENTRIES])
def test_entry_is_cited(key, kind, fields):
    where = CITED.get((families(fields)[0], fields["year"]), [])
    assert any(means(people, others, fields) for _, people, others in where)


READING = re.compile(r"^- (.+?) \((\d{4})[^)]*\), \*(.+?)\*(?=[,:.; ]|$)", re.M)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_further_reading_has_the_titles_of_the_entries(path):
    """Each item names authors, year and title, or its beginning; so does any list of works."""
    text = prose(path).split("## Further reading")[1]
    assert len(READING.findall(text)) == len(re.findall(r"^- ", text, re.M)) >= 3
    for names, year, title in READING.findall(prose(path)):
        (work, *_), *_ = cited(f"{names} ({year})")
        real = [bare(fields["title"]) for fields in WORKS[work]]
        assert any(r.startswith(bare(title)) for r in real), f"{title!r} against {real!r}"


def test_bibliography_is_sorted():
    keys = [key for key, *_ in ENTRIES]
    assert keys == sorted(keys)

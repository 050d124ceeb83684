"""README and docs: their programs run and print what is said, their links lead somewhere."""

import ast
import io
import re
import sys
import textwrap
import tokenize

import pytest

from support.project import FILES, ROOT

DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])

# --- answers ------------------------------------------------------------------------
# A print's answer is the comment behind it, or whole-line comments below it where
# it has several lines or is printed several times.

FENCE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def comments(source):
    """Comments by line: the text, and whether it has the line to itself."""
    found = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            alone = not token.line[: token.start[1]].strip()
            found[token.start[0]] = (token.string[1:].removeprefix(" ").rstrip(), alone)
    return found


def below(notes, line):
    """The comments on whole lines, from a line on."""
    found = []
    while notes.get(line, ("", False))[1]:
        found.append(notes[line][0])
        line += 1
    return found


def answers(source):
    """For each print in a program, by its line: the lines that it says it prints."""
    notes, stated = comments(source), {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
            line = node.end_lineno
            stated[node.lineno] = [notes[line][0]] if line in notes else below(notes, line + 1)
    return stated


def run(source, names, start=0):
    """Run a program; for each line of it that prints, what it prints."""
    printed = {}

    def recording(*arguments, **options):
        text = io.StringIO()
        print(*arguments, file=text, **options)
        line = sys._getframe(1).f_lineno
        printed[line] = printed.get(line, "") + text.getvalue()

    names["print"] = recording
    exec(compile(source, f"block at line {start}", "exec"), names)
    return {line: [x.rstrip() for x in text.splitlines()] for line, text in printed.items()}


def wrong_answers(markdown):
    """Complaints about the python blocks of a text, run in order in one namespace."""
    names, complaints = {"__name__": "document"}, []
    for block in FENCE.finditer(markdown):
        source, start = block[1], markdown.count("\n", 0, block.start(1))
        stated, printed = answers(source), run(source, names, start)
        complaints += [
            f"line {start + line}: prints {printed.get(line, [])}, says {stated.get(line, [])}"
            for line in sorted(stated | printed)
            if printed.get(line, []) != stated.get(line, [])
        ]
    return complaints


def fenced(*programs):
    return "\n\ntext\n\n".join(f"```python\n{textwrap.dedent(p)}```" for p in programs)


RIGHT = {
    "behind": "print(1 + 1)  # 2\n",
    "two on one line": "print(1, 'a')  # 1 a\n",
    "below": "print('a\\n b')\n# a\n#  b\n",
    "a hash in a string": "print('#')  # #\n",
    "a call over several lines": "print(\n    1,\n    2,\n)  # 1 2\n",
    "a loop": "for k in range(2):\n    print(k)\n    # 0\n    # 1\n",
    "inside of a function": "def f():\n    print(3)  # 3\nf()\n",
    "a remark elsewhere": "x = 1  # one\n# about x\nprint(x)  # 1\n# about something else\n",
    "an empty line in between": "print(1)  # 1\n\n# not an answer\n",
    "no print": "x = 1\n",
}
WRONG = {
    "another number": "print(1 + 1)  # 3\n",
    "another last digit": "print(0.1 + 0.2)  # 0.3\n",
    "no answer": "print(1)\n",
    "a line too few": "print('a\\nb')\n# a\n",
    "a line too many": "print('a')\n# a\n# b\n",
    "never printed": "if False:\n    print(1)  # 1\n",
    "printed twice": "for k in range(2):\n    print(1)  # 1\n",
    "the order": "for k in (1, 0):\n    print(k)\n    # 0\n    # 1\n",
}


@pytest.mark.parametrize("program", RIGHT.values(), ids=RIGHT)
def test_the_checker_accepts(program):
    assert wrong_answers(fenced(program)) == []


@pytest.mark.parametrize("program", WRONG.values(), ids=WRONG)
def test_the_checker_refuses(program):
    assert len(wrong_answers(fenced("x = 1\n", program))) == 1


def test_the_checker_keeps_names_from_block_to_block_and_skips_other_blocks():
    text = fenced("x = 2\n", "print(x)  # 2\n") + "\n\n```sh\nprint(1)\n```\n"
    assert wrong_answers(text) == []
    with pytest.raises(ZeroDivisionError):
        wrong_answers(fenced("1 / 0\n"))


def test_the_checker_says_where():
    text = "# Title\n\n" + fenced("x = 1\nprint(x)  # 2\n")
    assert wrong_answers(text) == ["line 5: prints ['1'], says ['2']"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_answers_are_right(path, tmp_path, monkeypatch, row):
    text = path.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)  # its programs may write files, and define rows
    assert wrong_answers(text) == []


def test_there_are_answers():
    texts = [path.read_text(encoding="utf-8") for path in DOCUMENTS]
    assert sum(len(answers(block[1])) for text in texts for block in FENCE.finditer(text)) > 20


# --- links and quotations -------------------------------------------------------------

LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    links = [x for x in LINK.findall(path.read_text(encoding="utf-8")) if "://" not in x]
    assert [x for x in links if not (path.parent / x).exists()] == []


@pytest.mark.parametrize(
    ("document", "module"),
    [("add_an_operation.md", "miniflow/ops.py"), ("how_it_works.md", "miniflow/program/ir.py")],
)
def test_what_is_quoted_stands_in_the_code(document, module):
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    (quoted,) = re.findall(r"^```text\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL)
    code = textwrap.dedent((ROOT / module).read_text(encoding="utf-8").replace('"""', "\n"))
    assert textwrap.indent(quoted, "    ") in code or quoted in code


def glossary():
    """The words of the glossary, by part."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    for part in text.split("\n## ")[1:]:
        yield [row for row in re.findall(r"^\| (.+?) \|", part, re.MULTILINE)[1:] if row != "---"]


def test_a_word_stands_in_the_glossary_once_and_in_order():
    parts = list(glossary())
    words = [word for part in parts for word in part]
    assert len(parts) == 11
    assert len(words) == len({*words})
    assert [part for part in parts if part != sorted(part, key=str.lower)] == []


def test_the_words_of_the_glossary_are_used():
    texts = [
        x.read_text(encoding="utf-8").lower()
        for x in (*FILES, *DOCUMENTS)
        if x.name != "glossary.md"
    ]
    text = " ".join(" ".join(texts).split())
    assert [word for part in glossary() for word in part if word.lower() not in text] == []

"""What a name may be, and that MONAI's own parser takes a safe one as text."""

import unicodedata

import pytest
from monai.bundle import ConfigParser

from medkd.texts import (
    check_file_name,
    check_name,
    check_path,
    check_text,
    check_unlike_files,
    file_name,
    markdown,
    printable,
    safe_name,
    safe_names,
    shown,
)

FINE = ["$import evil", "% stenosis", "@network", "a#b", "::", "a b", "Ödem", "左心室", "a\u3000b"]
UNSEEN = ["\n", "\r", "\t", "\0", "\x1b[2J", "\x7f", "\x9b", "\u202e", "\u200b", "\ufeff", "\u2028"]
DANGEROUS = [
    *("$import evil", "$open('x', 'w')", "$$x", "$ 1", "@network", "@", "@::x", "%x", "%a.json::b"),
    *("a#b", "a::b", "a:::b", "a @#b", "a %##b", "# $x", "#$x", "$#x", "@% $x", "::", "$", " $x"),
    *("a\n$b", "x@y", "100 %", "5 $", "a:b"),
]


class TestCheckName:
    @pytest.mark.parametrize("name", FINE)
    def test_takes_what_can_be_seen(self, name):
        assert check_name(name, where="class 1") == name

    @pytest.mark.parametrize("hidden", UNSEEN)
    def test_rejects_what_cannot_be_seen_and_does_not_show_it(self, hidden):
        with pytest.raises(ValueError, match="class 1 to be without control characters") as raised:
            check_name(f"left{hidden}right", where="class 1")
        assert str(raised.value).isprintable()
        assert repr(hidden)[1:-1] in str(raised.value)

    def test_rejects_what_utf_8_cannot_write(self):
        with pytest.raises(ValueError, match=r"text that UTF-8 can write, but got 'a\\udce4'"):
            check_name("a\udce4", where="class 1")

    def test_counts_bytes_and_not_letters(self):
        assert check_name("ä" * 100, where="class 1") == "ä" * 100
        with pytest.raises(ValueError, match=r"at most 200 bytes .* got 202 .* 'ä{60}'\.\.\.\.$"):
            check_name("ä" * 101, where="class 1")

    @pytest.mark.parametrize("empty", ["", " ", "\u00a0", 3, None])
    def test_rejects_what_says_nothing(self, empty):
        with pytest.raises(ValueError, match="Expected class 1 to be a text, but got"):
            check_name(empty, where="class 1")


class TestCheckText:
    def test_takes_lines_and_any_length(self):
        assert check_text("a\tb\n" * 100, where="`source`") == "a\tb\n" * 100

    def test_rejects_other_control_characters(self):
        with pytest.raises(ValueError, match=r"`source` to be without .* got '\\x1b' in 'a\\n"):
            check_text("a\n\x1b[0m", where="`source`")

    def test_takes_nothing_if_told_so(self):
        assert check_text("", where="`source`", empty=True) == ""


class TestFileNames:
    @pytest.mark.parametrize("name", FINE)
    def test_takes_what_a_disk_takes(self, name, tmp_path):
        check_file_name(name, where="a case")
        (tmp_path / f"{name}_segmentation.nii.gz").touch()

    @pytest.mark.parametrize("name", ["a/b", "a\\b", "..", ".", 'a"b', "a*", "what?", "a|b", "<a>"])
    def test_rejects_what_no_file_may_be_called(self, name):
        with pytest.raises(ValueError, match="Expected a case to be usable as a file name"):
            check_file_name(name, where="a case")
        assert check_file_name(file_name(f"x{name}"), where="a case")

    @pytest.mark.parametrize("two", [("a", "A"), ("Ö", unicodedata.normalize("NFD", "ö"))])
    def test_rejects_two_names_of_one_file(self, two):
        with pytest.raises(
            ValueError, match=r"Expected cases to be files of their own, .* but got"
        ):
            check_unlike_files(["b", *two], what="cases")

    def test_takes_names_of_different_files(self):
        check_unlike_files(FINE, what="cases")


class TestCheckPath:
    @pytest.mark.parametrize("path", ["runs/out#1", "runs/@::b", "$open('x')", "%out", "@network"])
    def test_rejects_what_the_parser_does_not_leave_as_it_is(self, path):
        parser = ConfigParser({"output_dir": path})
        try:
            is_same = parser.get_parsed_content("output_dir", eval_expr=False) == path
        except (KeyError, ValueError):
            is_same = False
        assert not is_same
        with pytest.raises(ValueError, match="Expected `--output` to be a path"):
            check_path(path, where="`--output`")

    def test_rejects_what_cannot_be_told_from_what_was_rewritten(self):
        with pytest.raises(ValueError, match=r"without '#' and '::', .* but got 'runs/a::b'"):
            check_path("runs/a::b", where="--output")

    @pytest.mark.parametrize("path", ["/data/$import evil", "/data/% a", "./@network", "runs/a b"])
    def test_takes_what_it_leaves(self, path):
        assert str(check_path(path, where="--output")) in {path, path.removeprefix("./")}
        assert ConfigParser({"output_dir": path}).get_parsed_content("output_dir") == path

    def test_rejects_what_cannot_be_written(self):
        with pytest.raises(ValueError, match="that UTF-8 can write"):
            check_path("/data/\udce4", where="--output")


class TestSafeName:
    @pytest.mark.parametrize("text", DANGEROUS)
    def test_is_text_to_the_parser(self, text):
        name = safe_name(text)
        config = {"_meta_": {"name": name, "list": [name], "def": {"1": name}}, "x": 1}
        parser = ConfigParser(config)
        assert parser.get_parsed_content("x") == 1
        assert parser.get_parsed_content("_meta_") == {
            "name": name,
            "list": [name],
            "def": {"1": name},
        }

    @pytest.mark.parametrize("text", [*DANGEROUS, *FINE])
    def test_is_not_changed_again(self, text):
        assert safe_name(safe_name(text)) == safe_name(text) != ""

    @pytest.mark.parametrize("text", ["left ventricle", "Ödem", "a:b", "x@y", "100 %", "5 $", "-"])
    def test_leaves_what_is_safe(self, text):
        assert safe_name(text) == text

    def test_stays_readable(self):
        names = [safe_name(text) for text in ("$import evil", "% stenosis", "a::b", "a\n b")]
        assert names == ["import evil", "stenosis", "a-b", "a b"]


class TestSafeNames:
    def test_all_differ_also_in_small_letters(self):
        texts = ["background", "$background", "Background", "a#b", "a::b", "A-B", "::", "#", "$"]
        names = safe_names(texts, fallback="class")
        assert len({name.casefold() for name in names}) == len(texts)
        assert names[0] == "background"
        assert names[5] == "A-B"
        assert names[6:] == ["class 6", "class 7", "class 8"]

    def test_a_made_up_name_gives_way_to_a_real_one(self):
        assert safe_names(["class 1", "$"], fallback="class") == ["class 1", "class 1 2"]


class TestShown:
    def test_is_cut(self):
        assert shown("a" * 61) == f"'{'a' * 60}'..."
        assert shown(list(range(100))).endswith("...")
        assert shown("a" * 60) == repr("a" * 60)

    @pytest.mark.parametrize("hidden", UNSEEN)
    def test_is_printable(self, hidden):
        assert shown(f"a{hidden}").isprintable()
        assert printable(f"a{hidden}").replace("\t", "").replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "<script>x</script>",
        "a | b",
        "*a*",
        "_a_ b_c",
        "[a](b)",
        "`a`",
        "a &amp; b",
        "# a",
        "\\",
        "~~a~~",
    ],
)
def test_markdown_reads_as_the_text(text):
    reader = (
        pytest.importorskip("markdown_it")
        .MarkdownIt("commonmark")
        .enable(["table", "strikethrough"])
    )
    for page in (f"{markdown(text)}\n", f"| x |\n|---|\n| {markdown(text)} |\n"):
        tokens = [child for token in reader.parse(page) for child in token.children or ()]
        assert {token.type for token in tokens} <= {"text", "text_special"}
        assert "".join(token.content for token in tokens).removeprefix("x") == text

"""File names from a network: none leaves its folder, on any system."""

import pytest

from seallm_edge.hub.file_names import harmless_names, is_harmless, safe_name

HARMFUL = [
    *("../evil", "/etc/passwd", "a/../../b", "a\\..\\b", "C:evil", "C:/evil", "\\\\server\\share", "a:stream"),
    *("", ".", "..", "a//b", "./a", "a/", "a/.", "a\0b", "a\nb", "a\x7fb", "a\x85b", "\ud800"),
    *("CON", "con", "nul.txt", "Aux.tar.gz", "a/PRN", "COM1", "lpt9.bin", "COM¹", "CONIN$", "NUL .txt", "nul/x"),
    *("a.", "a ", "a./b", "a /b", "...", "a\u202egpj.exe", "a\u200bb", "\ufeffa", "a\u2028b"),
]
HARMLESS = ["a", ".gitattributes", "a/b.c", "thư mục/50% #1?.json", "ภาษาไทย.gguf", "မြန်မာ.gguf", "console", "a..b"]


@pytest.mark.parametrize("name", HARMFUL, ids=ascii)
def test_a_name_that_leaves_its_folder_somewhere_is_harmful(name: str) -> None:
    assert not is_harmless(name)


@pytest.mark.parametrize("name", HARMLESS)
def test_an_ordinary_name_in_any_script_is_harmless(name: str) -> None:
    assert is_harmless(name)


def test_of_names_that_some_system_takes_for_one_the_first_counts() -> None:
    names = ["Model.gguf", "model.gguf", "MODEL.GGUF", "caf\u00e9", "cafe\u0301", "straße", "STRASSE", "other", 7, None]
    assert list(harmless_names(names)) == ["Model.gguf", "caf\u00e9", "straße", "other"]


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("model.gguf", "model.gguf"),
        ("/a/b/model.gguf", "model.gguf"),
        ("..\\..\\model.gguf", "model.gguf"),
        ("", "download"),
        ("/", "download"),
        ("..", "download"),
        ("a/..", "download"),
        (" . ", "download"),
        ("con.gguf", "_con.gguf"),
        ('a<b>:"|?*.gguf', "a_b______.gguf"),
        ("a\u202eb\n.gguf", "a_b_.gguf"),
        ("model.gguf. .", "model.gguf"),
        ("cafe\u0301.gguf", "caf\u00e9.gguf"),
        ("မြန်မာ.gguf", "မြန်မာ.gguf"),
        ("ก" * 100 + ".gguf", "ก" * 65 + ".gguf"),
        ("x" * 300, "x" * 200),
    ],
    ids=ascii,
)
def test_a_name_that_a_server_gives_is_made_safe(given: str, made: str) -> None:
    assert safe_name(given) == made
    assert is_harmless(made)

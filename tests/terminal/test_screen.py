from seallm_edge.terminal.screen import visible


def test_control_characters_cannot_steer_the_terminal() -> None:
    assert visible("\x1b[2Jred\x9b31m\x7f\r") == "␛[2Jred\ufffd31m␡␍"


def test_text_in_any_script_passes_unchanged() -> None:
    text = "one\n\ttwo မင်္ဂလာပါ ជំរាបសួរ 👨‍👩‍👧"
    assert visible(text) == text

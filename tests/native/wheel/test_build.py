"""The wheel cache: its wheels are complete, and are built once. `make setup` tests the compilation."""

import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.native.wheel import build

WHEEL = "llama_cpp_python-0-py3-none-any.whl"
WHOLE = ("llama_cpp/lib/libllama.so", "bin/libggml-cpu-x64.so")


class Pip:
    """Stands in for the build: leaves a wheel of these files, or fails."""

    def __init__(self, files: tuple[str, ...] = WHOLE, fails: bool = False) -> None:
        self.files = files
        self.fails = fails
        self.n_builds = 0
        self.environment: dict[str, str] = {}

    def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if command[-1] == "--version":
            return subprocess.CompletedProcess(command, 0, "compiler 1.0\n", "")
        self.n_builds += 1
        self.environment = options["env"]
        folder = Path(command[command.index("--wheel-dir") + 1])
        folder.mkdir()
        with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
            for name in self.files:
                wheel.writestr(name, b"code")
        if self.fails:
            raise subprocess.CalledProcessError(1, command)
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEALLM_WHEEL_CACHE", str(tmp_path / "wheels"))
    monkeypatch.setattr("sys.argv", ["build.py"])
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    return tmp_path / "wheels"


def wheels(cache: Path) -> list[str]:
    return [path.name for path in cache.rglob("*.whl")]


def test_a_wheel_is_built_once_and_then_taken_from_the_cache(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("subprocess.run", pip := Pip())
    assert build.main() == 0
    first = capsys.readouterr().out
    assert Path(first.strip()).read_bytes()
    assert build.main() == 0
    assert capsys.readouterr().out == first
    assert pip.n_builds == 1
    flags = pip.environment["SKBUILD_CMAKE_ARGS"].split(";")
    assert "-DGGML_CPU_ALL_VARIANTS=ON" in flags
    assert flags[-1] == f"-DCMAKE_PROJECT_INCLUDE={Path(build.__file__).with_name('project.cmake').as_posix()}"


def test_a_build_that_fails_leaves_nothing_behind(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("subprocess.run", Pip(fails=True))
    assert build.main() == 1
    assert (wheels(cache), list(cache.iterdir())) == ([], [])
    assert capsys.readouterr().err.endswith("failed (exit 1); see above\n")


@pytest.mark.parametrize("files", [(), WHOLE[:1], WHOLE[1:]])
def test_a_wheel_that_lacks_a_part_is_not_kept(
    cache: Path, monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...]
) -> None:
    monkeypatch.setattr("subprocess.run", Pip(files))
    with pytest.raises(FileNotFoundError):
        build.main()
    assert wheels(cache) == []


def test_what_a_killed_build_left_is_not_taken_for_a_wheel(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = cache / ".building-killed" / "wheel"
    left.mkdir(parents=True)
    (left / WHEEL).write_bytes(b"half")
    monkeypatch.setattr("subprocess.run", pip := Pip())
    assert build.main() == 0
    assert pip.n_builds == 1


@pytest.mark.parametrize(
    ("arguments", "flags"),
    [
        ([], []),
        (["--cmake-args", "-DGGML_CUDA=ON"], ["-DGGML_CUDA=ON"]),
        (["--cmake-args=-DGGML_CUDA=ON"], ["-DGGML_CUDA=ON"]),
        (["--cmake-args", "-DA=1 -DB=2"], ["-DA=1", "-DB=2"]),
        (["--cmake-args", "-DA=1", "--cmake-args=-DB=2"], ["-DA=1", "-DB=2"]),
        (["--cmake-args", ""], []),
    ],
)
def test_cmake_flags_can_be_added_in_either_spelling(
    arguments: list[str], flags: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["build.py", *arguments])
    monkeypatch.setattr("subprocess.run", pip := Pip())
    assert build.main() == 0
    assert pip.environment["SKBUILD_CMAKE_ARGS"].split(";")[len(build.CMAKE_FLAGS) : -2] == flags


@pytest.mark.parametrize("arguments", [["--cmake-args"], ["--cmake", "-DA=1"], ["-DA=1"]])
def test_other_arguments_are_refused(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["build.py", *arguments])
    with pytest.raises(SystemExit, match="2"):
        build.main()
    assert capsys.readouterr().err.startswith("usage: build.py [-h] [--cmake-args ")


def test_variants_that_the_compiler_refuses_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Refusing(Pip):
        def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
            done = super().__call__(command, **options)
            if self.environment:
                flag = next(f for f in self.environment["SKBUILD_CMAKE_ARGS"].split(";") if "LEFT_OUT" in f)
                Path(flag.partition("=")[2]).write_text("armv9.2_1: -march=armv9.2-a+sme\narmv9.2_2: -msme\n")
            return done

    monkeypatch.setattr("subprocess.run", Refusing())
    assert build.main() == 0
    assert capsys.readouterr().err.splitlines()[1:] == [
        "CPU variant armv9.2_1 is left out: this compiler refuses -march=armv9.2-a+sme; a later one builds it",
        "CPU variant armv9.2_2 is left out: this compiler refuses -msme; a later one builds it",
    ]


def test_version_flags_and_compiler_make_another_wheel() -> None:
    keys = {
        build.cache_key(build.CMAKE_FLAGS, "compiler 1.0"),
        build.cache_key(build.CMAKE_FLAGS, "compiler 2.0"),
        build.cache_key((*build.CMAKE_FLAGS, "-DGGML_CUDA=ON"), "compiler 1.0"),
    }
    assert len(keys) == 3
    assert all(build.VERSION in key for key in keys)


@pytest.mark.parametrize("name", ["project.cmake", "block_search.h", "matmul.c", "unpack.h"])
def test_what_is_built_in_makes_another_wheel(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = build.cache_key(build.CMAKE_FLAGS, "compiler 1.0")
    (tmp_path / name).write_text("")
    files = [tmp_path / name if path.name == name else path for path in build.BUILD_FILES]
    monkeypatch.setattr(build, "BUILD_FILES", files)
    assert build.cache_key(build.CMAKE_FLAGS, "compiler 1.0") != before


def test_without_a_compiler_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("sys.platform", "linux")
    assert build.main() == 1
    assert "sudo apt install g++ make" in capsys.readouterr().err
